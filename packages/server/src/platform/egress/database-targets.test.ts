import { describe, expect, it } from 'vitest';
import { parseIpAddress } from '../../kernel/ip-address.js';
import { isCovered, mayCoverAddress, parseTargetList, type TargetEntry } from './database-targets.js';

function listOf(text: string): readonly TargetEntry[] {
  const list = parseTargetList(text);
  if (typeof list === 'string') throw new Error(list);
  return list;
}

describe('a list of database targets', () => {
  it.each([
    ['*', 'db', '10.1.2.3', 5432, true],
    ['*:5432', 'db', '10.1.2.3', 3306, false],
    ['public', 'db.example.com', '8.8.8.8', 1, true],
    ['public', 'db.example.com', '10.1.2.3', 5432, false],
    ['public', 'db.example.com', null, 5432, false],
    ['public:5432+3306', 'db.example.com', '8.8.8.8', 3306, true],
    ['10.0.0.0/8', 'db', '10.1.2.3', 5432, true],
    ['10.0.0.0/8', 'db', '11.1.2.3', 5432, false],
    ['10.0.0.0/8:5432', 'db', '10.1.2.3', 5433, false],
    ['10.1.2.3', null, '10.1.2.3', 5432, true],
    ['fd00::/8:5432', null, 'fd12::1', 5432, true],
    ['fd00::/8:5432', null, 'fd12::1', 5433, false],
    ['[fd12::1]:5432', null, 'fd12::1', 5432, true],
    ['db', 'db', null, 5432, true],
    ['DB.Example.com.', 'db.example.com', null, 5432, true],
    ['db.example.com', 'x.db.example.com', null, 5432, false],
    ['*.example.com', 'a.b.example.com', null, 5432, true],
    ['*.example.com', 'example.com', null, 5432, false],
    ['*.example.com', 'evilexample.com', null, 5432, false],
    ['*.internal:5432-5434', 'db.internal', null, 5433, true],
    [' , db ,', 'db', null, 1, true],
    ['', 'db', '10.1.2.3', 5432, false],
  ])('%s covers %s %s:%i: %s', (text, name, address, port, expected) => {
    const target = { name, address: address === null ? null : parseIpAddress(address)!, port };
    expect(isCovered(listOf(text), target)).toBe(expected);
  });

  it('tells whether some address could be covered before one is known', () => {
    expect(mayCoverAddress(listOf('db,10.0.0.0/8:5432'), 5432)).toBe(true);
    expect(mayCoverAddress(listOf('db,10.0.0.0/8:5432'), 5433)).toBe(false);
    expect(mayCoverAddress(listOf('public'), 1)).toBe(true);
    expect(mayCoverAddress(listOf('db,*.example.com'), 5432)).toBe(false);
  });

  it.each([
    '10.0.0.0/33',
    '10.0.0.1/8',
    '0x7f.1',
    '2130706433',
    'a..b',
    '*example.com',
    'a.*.example.com',
    'db/5432',
    'postgres://db',
    'dätabase.example.com',
    'fd00::1::',
    '*.',
  ])('refuses %s and names the entry', (text) => {
    expect(parseTargetList(`db,${text}`)).toContain(`"${text}" is none`);
  });

  it.each(['db:0', 'db:65536', 'db:', '*:x', '10.0.0.0/8:5433-5432'])('refuses the ports of %s', (text) => {
    expect(parseTargetList(text)).toMatch(/^must name ports as .* does not$/);
  });
});
