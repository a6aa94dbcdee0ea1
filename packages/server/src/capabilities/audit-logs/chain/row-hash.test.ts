import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { auditRowHash, criticalRowHash, NO_HASH } from './row-hash.mjs';

/** Written apart from the code under test, after the text of auth.md §8.2. */
function expected(prevHash: Buffer, fields: readonly (string | null)[]): string {
  const sha = createHash('sha256').update('knoxcall.audit.v1');
  for (const field of [prevHash, ...fields]) {
    const bytes = field === null ? Buffer.alloc(0) : Buffer.from(field as string);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field === null ? 0xffffffff : bytes.length);
    sha.update(length).update(bytes);
  }
  return sha.digest('hex');
}

const ROW = {
  tenant_id: 't',
  id: 'a',
  user_id: null,
  api_key_id: 'k',
  oauth_client_id: null,
  actor_type: 'api_key',
  action: 'vault.create',
  resource_type: 'vault',
  resource_id: 'v',
  details: '{"name":"naïve 💳","sandbox":true}',
  ip_address: '::1',
  request_id: 'r',
  created_at: Date.UTC(2026, 0, 15, 9, 30, 0, 7),
  verb: 'create',
  is_sandbox: 1,
};

describe('the hash of a row', () => {
  it('is over previous hash, number and columns, each with its length', () => {
    const prev = Buffer.alloc(32, 7);
    const fields = ['12', 't', 'a', null, 'k', null, 'api_key', 'vault.create', 'vault', 'v'];
    fields.push(ROW.details, '::1', 'r', '2026-01-15T09:30:00.007000Z', 'create', '1');
    expect(auditRowHash(prev, 12, ROW).toString('hex')).toBe(expected(prev, fields));
  });

  it('is the same for the critical chain with its columns', () => {
    const row = { ...ROW, at: ROW.created_at, actor_id: null, tenant_id: null, details: '{}' };
    const fields = ['1', '2026-01-15T09:30:00.007000Z', null, null, 'vault.create', 'vault', 'v', '{}'];
    expect(criticalRowHash(NO_HASH, 1, row).toString('hex')).toBe(expected(NO_HASH, fields));
  });

  it('differs for an empty text and none, and for a text that moved to the next column', () => {
    const hashes = [
      ROW,
      { ...ROW, user_id: '' },
      { ...ROW, resource_type: 'vaultv', resource_id: '' },
      { ...ROW, resource_type: 'vaultv', resource_id: null },
    ].map((row) => auditRowHash(NO_HASH, 1, row).toString('hex'));
    expect(new Set(hashes).size).toBe(4);
  });

  it('takes rows larger than its room', () => {
    const row = { ...ROW, details: JSON.stringify('ü'.repeat(100_000)) };
    const again = auditRowHash(NO_HASH, 1, ROW).toString('hex');
    expect(auditRowHash(NO_HASH, 1, row)).toHaveLength(32);
    expect(auditRowHash(NO_HASH, 1, ROW).toString('hex')).toBe(again);
  });
});
