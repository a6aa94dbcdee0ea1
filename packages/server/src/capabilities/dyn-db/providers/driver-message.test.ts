import { expect, it } from 'vitest';
import { Secret } from '../../../kernel/secret.js';
import { redactedMessage } from './driver-message.js';

const password = new Secret('S3cretS3cretQ8z0');

it.each([
  ['syntax error at or near "S3cretS3cretQ8z0"', 'syntax error at or near "[SECRET]"'],
  ['near "s3crets3cretq8z0"', 'near "[SECRET]"'],
  ['near "tS3cretQ8" and more', 'near "[SECRET]" and more'],
  ['role "kc_user_a" already exists', 'role "kc_user_a" already exists'],
  ['two\r\nlines\u2028and\0more', 'two lines and more'],
  ['in "CREATE ROLE x  PASSWORD \'S3cretS3cretQ8z0\'" at 3', 'in "[statement]" at 3'],
  ['İS3cretS3cretQ8z0', '[SECRET]'],
])('%j', (text, expected) => {
  const statement = new Secret("CREATE ROLE x\n PASSWORD 'S3cretS3cretQ8z0'");
  expect(redactedMessage(text, [password], [statement])).toBe(expected);
});

it('a short secret goes whole, and none is no text', () => {
  expect(redactedMessage('the pw is ab1', [new Secret('ab1'), new Secret('')])).toBe('the pw is [SECRET]');
});

it('is short', () => {
  expect(redactedMessage('x'.repeat(10_000), [password])).toHaveLength(301);
});

it('of megabytes looks at the beginning only, and still knows a whole statement', () => {
  const statement = new Secret(`CREATE ROLE x PASSWORD 'S3cretS3cretQ8z0' /* ${'y'.repeat(16_000)} */`);
  const early = `in ${statement.reveal()} near "S3cretS3cretQ8z0"`;
  expect(redactedMessage(`${early}${' '.repeat(5_000_000)}late`, [password], [statement])).toBe(
    'in [statement] near "[SECRET]"',
  );
});
