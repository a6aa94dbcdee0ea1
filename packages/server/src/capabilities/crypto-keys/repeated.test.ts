import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const CANARY = 'canary-93be-plaintext';
const MiB = 1024 * 1024;

forEachDatabase((name, open) => {
  describe('a repeated call', () => {
    let db: TestDatabase;
    let harness: Harness;
    beforeEach(async () => {
      harness = await createHarness({
        open: async (...args) => {
          db = await open(...args);
          return db;
        },
      });
      await call('POST', '/v1/crypto/keys', { name: 'pii' });
    });
    afterEach(() => harness.close());

    const call = (method: string, path: string, body?: unknown, key?: string) =>
      harness.call(method, path, {
        key: harness.tenant.live,
        ...(body !== undefined && { body }),
        ...(key !== undefined && { headers: { 'x-idempotency-key': key } }),
      });
    const on = (act: string, body: object, key?: string) =>
      call('POST', `/v1/crypto/keys/pii/${act}`, body, key);
    const isReplay = ({ headers }: { headers: Record<string, unknown> }) =>
      headers['x-idempotent-replay'] === 'true';
    const acts = async (action: string) =>
      (await call('GET', `/v1/audit-logs?action=${action}`)).json['meta'].total;

    it('gets the first ciphertext and the first plaintext, and is audited once', async () => {
      const first = await on('encrypt', { plaintext: CANARY }, 'one');
      const second = await on('encrypt', { plaintext: CANARY }, 'one');
      expect([second.text, isReplay(second)]).toEqual([first.text, true]);
      const { ciphertext } = first.json['data'];
      const opened = await on('decrypt', { ciphertext }, 'two');
      const again = await on('decrypt', { ciphertext }, 'two');
      expect([again.text, isReplay(again)]).toEqual([opened.text, true]);
      expect([await acts('crypto.encrypt'), await acts('crypto.decrypt')]).toEqual([1, 1]);
      const refused = await on('decrypt', { ciphertext: 'knoxcall:v1:' }, 'three');
      const refusedAgain = await on('decrypt', { ciphertext: 'knoxcall:v1:' }, 'three');
      expect([refused.status, refusedAgain.text, isReplay(refusedAgain)]).toEqual([400, refused.text, true]);
    });

    it('rotates once', async () => {
      const rotate = () => call('POST', '/v1/crypto/keys/pii/rotate', {}, 'turn');
      const answers = [await rotate(), await rotate()];
      expect(answers.map(({ json }) => json['data'].new_version)).toEqual([2, 2]);
      expect((await call('GET', '/v1/crypto/keys/pii')).json['data'].current_version).toBe(2);
    });

    it('of a large answer is done again, for nothing of it was kept', async () => {
      const plaintext = 'x'.repeat(MiB);
      const first = await on('encrypt', { plaintext }, 'large');
      const second = await on('encrypt', { plaintext }, 'large');
      expect([first.status, second.status, isReplay(second)]).toEqual([200, 200, false]);
      expect(second.json['data'].ciphertext === first.json['data'].ciphertext).toBe(false);
      expect(await acts('crypto.encrypt')).toBe(2);
      const { ciphertext } = first.json['data'];
      // Both forms, each character escaped as six: beyond what a row can hold.
      const largest = await on(
        'encrypt',
        { plaintext_b64: Buffer.alloc(8 * MiB, 1).toString('base64') },
        'largest',
      );
      const opened = await call(
        'POST',
        '/v1/crypto/keys/pii/decrypt?format=utf8',
        { ciphertext: largest.json['data'].ciphertext },
        'opened',
      );
      expect([opened.status, opened.json['data'].plaintext.length]).toEqual([200, 8 * MiB]);
      expect((await on('decrypt', { ciphertext }, 'opened-too')).status).toBe(200);
    });

    it.runIf(name === 'sqlite')('leaves no plaintext in any file', async () => {
      const { ciphertext } = (await on('encrypt', { plaintext: CANARY }, 'sealed')).json['data'];
      expect((await on('decrypt', { ciphertext }, 'sealed-too')).status).toBe(200);
      await db.flush();
      const dataDir = dirname((db.storage as { path: string }).path);
      const files = readdirSync(dataDir);
      expect(files).toContain('knox.db');
      for (const file of files) {
        const bytes = readFileSync(join(dataDir, file));
        expect(bytes.includes(CANARY), file).toBe(false);
        expect(bytes.includes(Buffer.from(CANARY).toString('base64').slice(0, 24)), file).toBe(false);
      }
    });
  });
});
