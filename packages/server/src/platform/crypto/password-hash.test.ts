import { hash } from '@node-rs/argon2';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import { Secret } from '../../kernel/secret.js';
import { createPasswordHasher, hashPassword } from './password-hash.js';

const passwords = createPasswordHasher();
const PASSWORD = new Secret('correct horse battery');

describe('verify', () => {
  it('knows the password of a hash, and no other', async () => {
    const stored = await passwords.hash(PASSWORD);
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await passwords.verify(stored, PASSWORD)).toBe(true);
    expect(await passwords.verify(stored, new Secret('wrong horse battery'))).toBe(false);
  });

  it('is false for no account and for what is no hash', async () => {
    for (const stored of [null, '', 'unused', '$argon2id$v=19$m=1'])
      expect(await passwords.verify(stored, PASSWORD)).toBe(false);
  });

  it('takes one password in whatever form its letters are composed', async () => {
    const stored = await hashPassword(new Secret('caf\u00e9 au lait'));
    expect(await passwords.verify(stored, new Secret('cafe\u0301 au lait'))).toBe(true);
  });

  it('still reads hashes of other parameters, and calls them outdated', async () => {
    const old = await hash(PASSWORD.reveal(), { memoryCost: 8_192, timeCost: 3 });
    expect(await passwords.verify(old, PASSWORD)).toBe(true);
    expect([passwords.isOutdated(old), passwords.isOutdated(await passwords.hash(PASSWORD))]).toEqual([
      true,
      false,
    ]);
  });
});

describe('a crowd', () => {
  it('is served two at a time and turned away beyond its line', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, () => passwords.verify(null, PASSWORD)),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(6);
    for (const { reason } of refused) expect(isAppError(reason, 'rate_limit_exceeded')).toBe(true);
    expect(await passwords.verify(null, PASSWORD)).toBe(false);
  });
});
