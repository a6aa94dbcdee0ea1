import { expect, it, vi } from 'vitest';
import { loadX509 } from '../capabilities/x509/index.js';

// Large, and of no use to most servers: the bar of idle memory is in docs/benchmarks.md.
vi.mock('@peculiar/asn1-schema', refuse);
vi.mock('pg', refuse);
vi.mock('sanitize-html', refuse);
vi.mock('nodemailer', refuse);
vi.mock('@simplewebauthn/server', refuse);
vi.mock('otpauth', refuse);
vi.mock('@aws-sdk/client-kms', refuse);
vi.mock('google-auth-library', refuse);
vi.mock('@azure/msal-node', refuse);

function refuse(): never {
  throw new Error('the library is there');
}

it('a server loads at its start no library that few servers need', async () => {
  await expect(import('./server.js')).resolves.toHaveProperty('startServer');
  await expect(import('pg')).rejects.toThrow();
  await expect(loadX509()).rejects.toThrow();
});
