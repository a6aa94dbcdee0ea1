import { describe, expect, it } from 'vitest';
import { readNetwork } from './network.js';

const keyOf = (text: string) => {
  const reading = readNetwork(text);
  return 'network' in reading ? reading.network.key : reading.problem;
};
const problemOf = (text: string) => {
  const reading = readNetwork(text);
  return 'problem' in reading ? reading.problem : `taken as ${reading.network.key}`;
};

describe('a network', () => {
  it.each([
    ['203.0.113.42', 4, 'cb00712a', 32],
    ['203.0.113.42/32', 4, 'cb00712a', 32],
    ['203.0.113.42/24', 4, 'cb007100', 24],
    ['10.1.2.3/8', 4, '0a', 8],
    ['255.255.255.255/1', 4, '80', 1],
    ['2001:db8::', 6, '20010db8', 128],
    ['2001:DB8:0:0::1/32', 6, '20010db8', 32],
    ['2001:db8:ffff::/33', 6, '20010db88', 33],
    ['::/1', 6, '', 1],
    ['::ffff:203.0.113.42', 4, 'cb00712a', 32],
    ['::ffff:203.0.113.42/120', 4, 'cb007100', 24],
    ['::ffff:cb00:712a', 4, 'cb00712a', 32],
  ])('%s is one of family %i, %s…/%i', (text, family, head, prefix) => {
    const address = head.padEnd(family === 4 ? 8 : 32, '0');
    expect(keyOf(text)).toBe(`${family}${address}${prefix.toString(16).padStart(2, '0')}`);
  });

  it('stands behind those that it lies in', () => {
    const written = ['10.0.0.0/8', '10.0.0.0/16', '10.0.0.1', '10.0.1.0/24', '10.1.0.0/16', '11.0.0.0/8'];
    const keys = written.map(keyOf);
    expect([...keys].sort()).toEqual(keys);
  });
});

describe('what is none, and why', () => {
  it.each([
    ['0.0.0.0/0', /prefix length of 0/],
    ['10.0.0.0/0', /prefix length of 0/],
    ['::/0', /prefix length of 0/],
    ['::ffff:0:0/96', /IPv4-mapped/],
    ['::ffff:10.0.0.0/64', /IPv4-mapped/],
    ['010.0.0.1', /leading zeros/],
    ['10.0.0.01', /leading zeros/],
    ['10.0.0.1:443', /port/],
    ['[2001:db8::1]', /brackets/],
    ['[2001:db8::1]:443', /brackets/],
    ['fe80::1%eth0', /zone id/],
    ['10.0.0.0/255.0.0.0', /prefix length/],
    ['10.0.0.0/33', /1 to 32/],
    ['2001:db8::/129', /1 to 128/],
    ['10.0.0.0/08', /prefix length/],
    ['10.0.0.0/-1', /prefix length/],
    ['10.0.0.0/', /prefix length/],
    ['10.0.0.0/8/8', /one prefix length/],
    ['10.0.0.1, 10.0.0.2', /one address/],
    ['10.0.0.1 ', /spaces/],
    ['10.0.0.0 /8', /spaces/],
    ['10.0.0.1\n', /spaces/],
    ['10.0.0', /must be an IPv4/],
    ['10.0.0.256', /must be an IPv4/],
    ['1.2.3.4.5', /must be an IPv4/],
    ['2130706433', /must be an IPv4/],
    ['0x7f.0.0.1', /must be an IPv4/],
    ['api.example.com', /must be an IPv4/],
    ['2001:db8:::1', /must be an IPv4/],
    ['', /must be an IPv4/],
    ['/8', /must be an IPv4/],
    ['*', /must be an IPv4/],
  ])('%s', (text, problem) => {
    expect(problemOf(text)).toMatch(problem);
  });
});
