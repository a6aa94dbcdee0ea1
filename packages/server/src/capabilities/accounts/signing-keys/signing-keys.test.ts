import { afterAll, beforeAll, expect, it } from 'vitest';
import { Secret } from '../../../kernel/secret.js';
import { systemRandom } from '../../../platform/crypto/random.js';
import { newSigningKey } from '../../../platform/crypto/signed-tokens.js';
import { forEachDatabase, type TestDatabase } from '../../../testing/databases.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { accountsTables, migrations } from '../tables.js';
import { createSigningKeys } from './service.js';

forEachDatabase((_name, open) => {
  const clock = createManualClock();
  const exp = clock.nowMs() / 1000 + 60;
  let db: TestDatabase;
  beforeAll(async () => {
    db = await open(migrations);
  });
  afterAll(() => db.cleanup());

  /** What a process of the installation has. */
  const keysOf = (rootKey: Secret<Buffer>, tokenKey: Secret<Buffer> | null = null) =>
    createSigningKeys({ db, clock, random: systemRandom, rootKey, tokenKey });
  const process = (...keys: Parameters<typeof keysOf>) => keysOf(...keys).adminTokens();
  const stored = () =>
    db.view(accountsTables).system('signing_key').selectFrom('signing_keys').selectAll().execute();

  const rootKey = new Secret(systemRandom.bytes(32));

  it('is the same in all processes, those that start at once too, and after a restart', async () => {
    const signers = await Promise.all(Array.from({ length: 4 }, () => process(rootKey)));
    signers.push(await process(rootKey));
    expect(new Set(signers.map(({ keyId }) => keyId)).size).toBe(1);
    const token = await signers[0]!.sign({ exp });
    expect(await signers[4]!.verify(token, clock.nowMs())).toEqual({ exp });
    expect(await stored()).toHaveLength(1);
  });

  it('is stored wrapped: what is stored opens under this root key alone', async () => {
    const [row] = await stored();
    expect(row?.wrapped_key.toString('latin1')).not.toContain('prime256v1');
    // The curve's object identifier stands in every P-256 key in clear.
    expect(row?.wrapped_key.includes(Buffer.from('2a8648ce3d030107', 'hex'))).toBe(false);
  });

  it('is made anew under another root key alone, and stays then', async () => {
    const before = await process(rootKey);
    const other = new Secret(systemRandom.bytes(32));
    const after = await process(other);
    expect(after.keyId).not.toBe(before.keyId);
    expect((await process(other)).keyId).toBe(after.keyId);
    expect(await after.verify(await before.sign({ exp }), clock.nowMs())).toBeNull();
    expect(await stored()).toHaveLength(1);
  });

  it('outlives a change of the root key that has the former one', async () => {
    const [one, two] = [new Secret(systemRandom.bytes(32)), new Secret(systemRandom.bytes(32))];
    const before = await process(one);
    const keys = keysOf(two);
    await keys.changeRootKey(one);
    await keys.changeRootKey(one);
    expect((await keys.adminTokens()).keyId).toBe(before.keyId);
    expect((await process(two)).keyId).toBe(before.keyId);
    // A key that has wrapped nothing changes nothing.
    await keysOf(one).changeRootKey(rootKey);
    expect((await process(two)).keyId).toBe(before.keyId);
  });

  it('is the configured one where there is one', async () => {
    const [row] = await stored();
    const key = newSigningKey();
    const [one, two] = [await process(rootKey, key), await process(rootKey, key)];
    expect(one.keyId).toBe(two.keyId);
    expect(await stored()).toEqual([row]);
  });
});
