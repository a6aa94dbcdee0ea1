import { describe, expect, it } from 'vitest';
import { distinguishedName, readSubject, withInherited } from './subject.js';

describe('a subject', () => {
  it('is stored under short names, whichever the call has used', () => {
    const fields = { CN: 'api.internal', O: 'Acme', OU: 'IT', C: 'DE', ST: 'Bayern', L: 'München' };
    expect(readSubject(fields)).toEqual({ fields, faults: [] });
    expect(
      readSubject({
        common_name: 'api.internal',
        organization: 'Acme',
        organizational_unit: 'IT',
        country: 'de',
        state: 'Bayern',
        locality: 'München',
      }),
    ).toEqual({ fields, faults: [] });
    expect(readSubject({ province: 'Bayern' }).fields).toEqual({ ST: 'Bayern' });
  });

  it.each([
    [{ C: 'Germany' }, 'C', 'two letters'],
    [{ C: 'D' }, 'C', 'two letters'],
    [{ country: 'D1' }, 'country', 'two letters'],
    [{ C: 'ẞß' }, 'C', 'two letters'],
    [{ O: '' }, 'O', 'must not be empty'],
    [{ CN: 'x'.repeat(65) }, 'CN', 'at most 64 characters'],
    [{ organization: 'x'.repeat(65) }, 'organization', 'at most 64 characters'],
    [{ OU: 'x'.repeat(65) }, 'OU', 'at most 64 characters'],
    [{ ST: 'x'.repeat(129) }, 'ST', 'at most 128 characters'],
    [{ L: 'x'.repeat(129) }, 'L', 'at most 128 characters'],
    [{ O: 'a\0b' }, 'O', 'control characters'],
    [{ O: 'a\nb' }, 'O', 'control characters'],
    [{ CN: 'a', common_name: 'a' }, 'common_name', 'the same field as CN'],
    [{ province: 'a', state: 'b' }, 'state', 'the same field as province'],
  ])('%j is refused by %s', (given, key, rule) => {
    expect(readSubject(given).faults).toEqual([{ key, rule: expect.stringContaining(rule) }]);
  });

  it('counts characters, not what they are encoded as', () => {
    expect(readSubject({ O: '💳'.repeat(64), L: 'ü'.repeat(128) }).faults).toEqual([]);
  });

  it('is a name, most general first', () => {
    expect(distinguishedName({ CN: 'a', O: 'b', C: 'DE', OU: 'c' })).toEqual([
      ['C', 'DE'],
      ['O', 'b'],
      ['OU', 'c'],
      ['CN', 'a'],
    ]);
    expect(distinguishedName({})).toEqual([]);
  });

  it('has what the root says of the organisation where it says nothing itself', () => {
    const root = distinguishedName({ CN: 'Root', O: 'Acme', OU: 'IT', C: 'DE', ST: 'Bayern', L: 'München' });
    expect(withInherited([['CN', 'a']], root)).toEqual([
      ['C', 'DE'],
      ['ST', 'Bayern'],
      ['L', 'München'],
      ['O', 'Acme'],
      ['CN', 'a'],
    ]);
    const own = distinguishedName({ C: 'FR', O: 'Autre', ST: 'a', L: 'b', OU: 'c' });
    expect(withInherited(own, root)).toEqual(own);
  });
});
