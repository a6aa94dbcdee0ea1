import { expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { scramSha256Verifier } from './scram.js';

it('keeps of a password what a server needs to check it', async () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  // RFC 7677 §3, in the form of RFC 5803.
  expect((await scramSha256Verifier(new Secret('pencil'), salt)).reveal()).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

it('draws another salt each time', async () => {
  const [one, two] = await Promise.all([
    scramSha256Verifier(new Secret('pencil')),
    scramSha256Verifier(new Secret('pencil')),
  ]);
  expect(one.reveal()).not.toBe(two.reveal());
});
