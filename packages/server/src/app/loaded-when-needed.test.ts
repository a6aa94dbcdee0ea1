import { expect, it, vi } from 'vitest';
import { loadX509 } from '../capabilities/x509/index.js';

vi.mock('@peculiar/asn1-schema', () => {
  throw new Error('the library is there');
});

it('a server without certificates does not load the ASN.1 library', async () => {
  await expect(import('./server.js')).resolves.toHaveProperty('startServer');
  await expect(loadX509()).rejects.toThrow();
});
