import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isUuid } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import { forEachDatabase } from '../../testing/databases.js';
import {
  createVaultHarness,
  holding,
  restricted,
  type VaultHarness,
  withCheckDigit,
} from '../../testing/vault-harness.js';
import { vaultTables } from './tables.js';

const CANARY = 'canary-7f3a91d2-value';
const newVault = {
  tokenFormat: 'generic',
  description: null,
  metadata: null,
  echoGuard: true,
  defaultTtlSeconds: null,
} as const;

forEachDatabase((_name, open) => {
  describe('vaults', () => {
    let harness: VaultHarness;
    let live: Caller;
    beforeEach(async () => {
      harness = await createVaultHarness(open);
      live = await harness.callerOf(harness.tenant, 'live');
    });
    afterEach(() => harness.close());

    const create = (name: string, caller = live) => harness.vaults.create(caller, { ...newVault, name });
    const audit = async (action: string) => {
      const filter = { page: 1, perPage: 100, order: 'asc' } as const;
      const named = { column: 'action', anyOf: [action] } as const;
      return (await harness.auditLogs.list(harness.tenant.id, { ...filter, action: named })).rows;
    };
    const countTokens = async (vaultId: string) => {
      const rows = await harness.db
        .view(vaultTables)
        .scoped(live.principal.scope)
        .selectFrom('vault_tokens')
        .select('id')
        .where('vault_id', '=', vaultId)
        .execute();
      return rows.length;
    };

    it('gives a value back to who may have it, and writes both acts into the audit log', async () => {
      const vault = await create('cards');
      const token = await harness.vaults.tokenize(live, 'cards', {
        ...holding(`${CANARY} ż💳\0`),
        metadata: { order: 17 },
      });
      expect(token.token).toMatch(/^tok_[0-9A-Z]{20}$/);
      const read = await harness.vaults.detokenize(live, vault.id, token.id);
      expect(read.value.reveal()).toBe(`${CANARY} ż💳\0`);
      expect(read).toMatchObject({ metadata: { order: 17 }, keyVersion: 1, token: token.token });
      const expected = { resourceType: 'vault', resourceId: vault.id };
      expect(await audit('vault.tokenize')).toMatchObject([
        { ...expected, details: { vault: 'cards', token_id: token.id, sandbox: false } },
      ]);
      expect(await audit('vault.detokenize')).toMatchObject([
        { ...expected, details: { vault: 'cards', token_id: token.id, via: 'api' } },
      ]);
    });

    it('keeps value and token text out of every row and log line', async () => {
      await create('cards');
      const token = await harness.vaults.tokenize(live, 'cards', holding(CANARY));
      await harness.vaults.detokenize(live, 'cards', token.token);
      const rows = JSON.stringify([
        await audit('vault.tokenize'),
        await audit('vault.detokenize'),
        await audit('vault.create'),
      ]);
      expect(rows).not.toContain(CANARY);
      expect(rows).not.toContain(token.token);
      const stored = await harness.db
        .view(vaultTables)
        .scoped(live.principal.scope)
        .selectFrom('vault_tokens')
        .selectAll()
        .execute();
      expect(stored).toHaveLength(1);
      for (const row of stored) expect(row.ciphertext.includes(CANARY)).toBe(false);
      expect(harness.logLines.join('')).not.toContain(CANARY);
      expect(
        `${token} ${JSON.stringify(await harness.vaults.detokenize(live, 'cards', token.id))}`,
      ).not.toContain(CANARY);
    });

    it('gives no value before its audit row is durable, and none when it cannot be written', async () => {
      await create('cards');
      const token = await harness.vaults.tokenize(live, 'cards', holding(CANARY));
      let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
      const commitInserts = () =>
        new Promise<void>((resolve, reject) => {
          settle = { resolve, reject };
        });
      const gated = await harness.createVaultsElsewhere({ db: { ...harness.db, commitInserts } });
      const reads = [
        () => gated.detokenize(live, 'cards', token.id),
        () => gated.detokenizeForProxy(live, [{ vault: 'cards', token: token.token }]),
      ];
      for (const read of reads) {
        let isAnswered = false;
        const answer = read().finally(() => {
          isAnswered = true;
        });
        while (!settle) await new Promise((resolve) => setImmediate(resolve));
        for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        expect(isAnswered).toBe(false);
        settle.reject(new Error('the disk is full'));
        await expect(answer).rejects.toThrow('the disk is full');
        settle = undefined;
        const second = read();
        while (!settle) await new Promise((resolve) => setImmediate(resolve));
        (settle as { resolve: () => void }).resolve();
        expect(await second).toBeTruthy();
        settle = undefined;
      }
    });

    it('refuses a value whose row was moved to another vault', async () => {
      await create('cards');
      const thief = await create('other');
      const token = await harness.vaults.tokenize(live, 'cards', holding(CANARY));
      await harness.db
        .view(vaultTables)
        .scoped(live.principal.scope)
        .updateTable('vault_tokens')
        .set({ vault_id: thief.id })
        .where('id', '=', token.id)
        .execute();
      await expect(harness.vaults.detokenize(live, 'other', token.id)).rejects.toThrow('decryption refused');
    });

    it('makes a new token each time', async () => {
      await create('cards');
      const tokens = await Promise.all(
        Array.from({ length: 50 }, () => harness.vaults.tokenize(live, 'cards', holding('same'))),
      );
      expect(new Set(tokens.map((token) => token.token)).size).toBe(50);
      expect(new Set(tokens.map((token) => token.id)).size).toBe(50);
      expect(await audit('vault.tokenize')).toHaveLength(50);
    });

    describe('delete', () => {
      it('is refused while tokens are there, and removes all when forced', async () => {
        const vault = await create('cards');
        const token = await harness.vaults.tokenize(live, 'cards', holding(CANARY));
        const refused = harness.vaults.delete(live, 'cards', { force: false });
        await expect(refused).rejects.toMatchObject({ type: 'conflict' });
        expect((await harness.vaults.detokenize(live, 'cards', token.id)).value.reveal()).toBe(CANARY);
        await harness.vaults.delete(live, 'cards', { force: true });
        await expect(harness.vaults.get(live, vault.id)).rejects.toMatchObject({ type: 'not_found' });
        await expect(harness.vaults.detokenize(live, vault.id, token.id)).rejects.toMatchObject({
          type: 'not_found',
        });
        expect(await countTokens(vault.id)).toBe(0);
        expect(await audit('vault.delete')).toMatchObject([
          { resourceId: vault.id, details: { vault: 'cards', tokens_deleted: 1 } },
        ]);
        await create('cards');
      });

      it('leaves no token behind that was made meanwhile', async () => {
        const vault = await create('cards');
        const tokenizing = Array.from({ length: 40 }, async (_, n) => {
          for (let turn = 0; turn < n; turn += 1) await new Promise((resolve) => setImmediate(resolve));
          return harness.vaults.tokenize(live, 'cards', holding(`value ${n}`));
        });
        const deleting = harness.vaults.delete(live, 'cards', { force: true });
        const outcomes = await Promise.allSettled(tokenizing);
        await deleting;
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ type: 'not_found' });
        }
        expect(await countTokens(vault.id)).toBe(0);
      });

      it('refuses what another process, that has not heard of it, would add', async () => {
        const vault = await create('cards');
        const elsewhere = await harness.createVaultsElsewhere();
        const token = await elsewhere.tokenize(live, 'cards', holding('known there'));
        await harness.vaults.delete(live, 'cards', { force: true });
        expect(await elsewhere.vaultNames(live.principal.scope)).toEqual(new Set(['cards']));
        await expect(elsewhere.tokenize(live, 'cards', holding('orphan'))).rejects.toMatchObject({
          type: 'not_found',
        });
        await expect(elsewhere.detokenize(live, 'cards', token.id)).rejects.toMatchObject({
          type: 'not_found',
        });
        expect(await countTokens(vault.id)).toBe(0);
        expect(await audit('vault.tokenize')).toHaveLength(1);
      });

      it('goes in bounded steps and disables what it empties', async () => {
        const vault = await create('cards');
        const tokens = Array.from({ length: 4_001 }, (_, n) => n);
        await Promise.all(tokens.map((n) => harness.vaults.tokenize(live, 'cards', holding(`value ${n}`))));
        await harness.vaults.delete(live, 'cards', { force: true });
        expect(await countTokens(vault.id)).toBe(0);
        expect(await audit('vault.token.delete')).toMatchObject([
          { details: { tokens_deleted: 2_000 } },
          { details: { tokens_deleted: 2_000 } },
        ]);
        expect(await audit('vault.update')).toMatchObject([{ details: { changed: ['enabled'] } }]);
        expect(await audit('vault.delete')).toMatchObject([{ details: { tokens_deleted: 1 } }]);
      });
    });

    it('follows a change of a vault at once', async () => {
      const vault = await create('cards');
      const token = await harness.vaults.tokenize(live, 'cards', holding(CANARY));
      await harness.vaults.update(live, 'cards', { enabled: false });
      for (const use of [
        () => harness.vaults.tokenize(live, 'cards', holding(CANARY)),
        () => harness.vaults.detokenize(live, vault.id, token.id),
        () => harness.vaults.detokenizeForProxy(live, [{ vault: 'cards', token: token.token }]),
      ]) {
        await expect(use()).rejects.toMatchObject({ type: 'vault_disabled', status: 409 });
      }
      await harness.vaults.update(live, 'cards', { enabled: true });
      expect((await harness.vaults.detokenize(live, 'cards', token.id)).value.reveal()).toBe(CANARY);
      expect(await harness.vaults.vaultNames(live.principal.scope)).toEqual(new Set(['cards']));
      await harness.vaults.delete(live, 'cards', { force: true });
      expect(await harness.vaults.vaultNames(live.principal.scope)).toEqual(new Set());
    });

    it('narrows tokenize and detokenize to the vaults that the caller may use', async () => {
      await create('cards');
      await create('notes');
      const token = await harness.vaults.tokenize(live, 'cards', holding(CANARY));
      const notesOnly = restricted(live, (_permission, resource) => resource === 'notes');
      await harness.vaults.tokenize(notesOnly, 'notes', holding('x'));
      await expect(harness.vaults.tokenize(notesOnly, 'cards', holding('x'))).rejects.toMatchObject({
        type: 'forbidden',
        publicMessage: expect.stringContaining('vaults:tokenize'),
      });
      for (const read of [
        () => harness.vaults.detokenize(notesOnly, 'cards', token.id),
        () => harness.vaults.detokenizeForProxy(notesOnly, [{ vault: 'cards', token: token.token }]),
        () => harness.vaults.detokenizeForProxy(notesOnly, [{ vault: null, token: token.token }]),
      ]) {
        await expect(read()).rejects.toMatchObject({
          type: 'forbidden',
          publicMessage: expect.stringContaining('vaults:detokenize'),
        });
      }
      expect(await audit('vault.detokenize')).toEqual([]);
    });

    describe('detokenizeForProxy', () => {
      it('keeps the order, opens qualified and unqualified ones, and audits each occurrence', async () => {
        const cards = await create('cards');
        const notes = await create('notes');
        await harness.vaults.update(live, 'notes', { echoGuard: false });
        const a = await harness.vaults.tokenize(live, 'cards', holding('a'));
        const b = await harness.vaults.tokenize(live, 'notes', holding('b'));
        const values = await harness.vaults.detokenizeForProxy(live, [
          { vault: null, token: b.token },
          { vault: 'cards', token: a.token },
          { vault: 'cards', token: a.id.toUpperCase() },
          { vault: 'cards', token: a.token },
          { vault: null, token: b.id },
        ]);
        expect(values.map(({ value }) => value.reveal())).toEqual(['b', 'a', 'a', 'a', 'b']);
        expect(values.map(({ isEchoGuarded }) => isEchoGuarded)).toEqual([false, true, true, true, false]);
        const rows = await audit('vault.detokenize');
        expect(
          rows.map((row) => [row.resourceId, row.details['token_id'], row.details['via']]).sort(),
        ).toEqual(
          [
            [cards.id, a.id, 'ephemeral_proxy'],
            [cards.id, a.id, 'ephemeral_proxy'],
            [cards.id, a.id, 'ephemeral_proxy'],
            [notes.id, b.id, 'ephemeral_proxy'],
            [notes.id, b.id, 'ephemeral_proxy'],
          ].sort(),
        );
      });

      it('is checked without reading, and without an audit row', async () => {
        await create('cards');
        const { token, id } = await harness.vaults.tokenize(live, 'cards', holding('a'));
        const references = [token, id].flatMap((text) => [
          { vault: 'cards', token: text },
          { vault: null, token: text },
        ]);
        const guarded = { isEchoGuarded: true };
        expect(await harness.vaults.checkForProxy(live, references)).toEqual(references.map(() => guarded));
        const noOne = restricted(live, () => false);
        for (const reference of references) {
          await expect(harness.vaults.checkForProxy(noOne, [reference])).rejects.toMatchObject({
            type: 'forbidden',
          });
        }
        await harness.vaults.update(live, 'cards', { enabled: false });
        await expect(harness.vaults.checkForProxy(live, references)).rejects.toMatchObject({
          type: 'vault_disabled',
        });
        expect(await audit('vault.detokenize')).toEqual([]);
      });

      it('writes nothing and gives nothing when nothing is asked', async () => {
        expect(await harness.vaults.detokenizeForProxy(live, [])).toEqual([]);
      });

      it('refuses the whole for one that is unknown, foreign or of the other mode, alike', async () => {
        await create('cards');
        const known = await harness.vaults.tokenize(live, 'cards', holding('a'));
        const test = await harness.callerOf(harness.tenant, 'test');
        const foreign = await harness.callerOf(harness.other, 'live');
        await create('cards', test);
        await create('cards', foreign);
        const attempts = [
          [live, { vault: 'cards', token: 'tok_unknown' }],
          [live, { vault: 'nowhere', token: known.token }],
          [live, { vault: null, token: 'tok_unknown' }],
          [live, { vault: null, token: '00000000-0000-4000-8000-00000000dead' }],
          [test, { vault: 'cards', token: known.token }],
          [test, { vault: null, token: known.id }],
          [foreign, { vault: 'cards', token: known.token }],
          [foreign, { vault: null, token: known.token }],
        ] as const;
        const messages = new Set<string>();
        for (const [caller, reference] of attempts) {
          const own = caller === live ? [{ vault: 'cards', token: known.token }] : [];
          for (const ask of [harness.vaults.detokenizeForProxy, harness.vaults.checkForProxy]) {
            const refused = ask(caller, [...own, reference]);
            await expect(refused).rejects.toMatchObject({ type: 'token_not_found', status: 404 });
            await refused.catch((error) => messages.add(error.publicMessage));
          }
        }
        expect(messages.size).toBe(1);
        expect(await audit('vault.detokenize')).toEqual([]);
      });

      it('asks for the vault when two hold the same text', async () => {
        for (const name of ['cards', 'notes']) {
          await harness.vaults.create(live, { ...newVault, name, tokenFormat: 'pan' });
        }
        // Ten tokens in all: after nine of each vault at least eight texts stand in both.
        const number = withCheckDigit('41111111111');
        const tokens = await Promise.all(
          Array.from({ length: 9 }, () =>
            Promise.all(
              ['cards', 'notes'].map((name) => harness.vaults.tokenize(live, name, holding(number))),
            ),
          ),
        );
        const [inCards] = tokens[0] ?? [];
        const token = inCards?.token ?? '';
        await expect(harness.vaults.detokenizeForProxy(live, [{ vault: null, token }])).rejects.toMatchObject(
          {
            type: 'template_error',
            status: 400,
          },
        );
        const [read] = await harness.vaults.detokenizeForProxy(live, [{ vault: 'cards', token }]);
        expect(read?.value.reveal()).toBe(number);
      });
    });

    it('stores what it was asked to store', async () => {
      const vault = await harness.vaults.create(live, {
        name: 'cards',
        tokenFormat: 'pan',
        description: 'd',
        metadata: { a: [1, { b: null }] },
        echoGuard: false,
        defaultTtlSeconds: 3_600,
      });
      expect(isUuid(vault.id)).toBe(true);
      expect(await harness.vaults.get(live, 'cards')).toEqual({
        ...vault,
        counts: { tokens: 0, expired: 0, expiringInDay: 0 },
      });
      expect(vault.createdBy).toBe(live.principal.apiKeyId);
    });
  });
});
