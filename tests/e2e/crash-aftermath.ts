import { expect } from 'vitest';
import type { Act, Kind, Load } from './crash-load.js';
import type { Scene } from './scene.js';

/** Ids, sorted, of what there is of a load, by the kind of act that leaves it. */
export type Traces = Readonly<Record<Exclude<Kind, 'proxy'>, readonly string[]>>;

interface Named {
  readonly id: string;
  readonly name: string;
}

interface AuditRow {
  readonly resource_id: string;
  readonly details: Readonly<Record<string, string>>;
}

export const answered = (load: Load, kind: Kind) =>
  load.acts.filter((act) => act.kind === kind && act.data !== null);
const unanswered = (load: Load, kind: Kind) =>
  load.acts.filter((act) => act.kind === kind && act.data === null);

/** The rows as the API lists them. */
export async function storedTraces(scene: Scene, { name }: Load): Promise<Traces> {
  const [tokens, vaults, keys] = await Promise.all([
    listAll<{ readonly id: string }>(scene, `/v1/vaults/${name}/tokens`),
    listAll<Named>(scene, '/v1/vaults'),
    listAll<Named & { readonly active: boolean }>(scene, '/v1/api-keys'),
  ]);
  const isOwn = (row: Named) => row.name.startsWith(`${name}-`);
  const ownKeys = keys.filter(isOwn);
  return {
    tokenize: sortedIds(tokens),
    vault: sortedIds(vaults.filter(isOwn)),
    key: sortedIds(ownKeys),
    revoke: sortedIds(ownKeys.filter(({ active }) => !active)),
  };
}

/** The same as the audit log tells it, and the tokens whose values were about to leave. */
export async function auditedTraces(scene: Scene, { name, startedAt }: Load) {
  const rowsOf = (action: string) =>
    listAll<AuditRow>(scene, `/v1/audit-logs?action=${action}&from=${startedAt}`);
  const [tokenized, vaults, keys, revoked, detokenized] = await Promise.all(
    ['vault.tokenize', 'vault.create', 'api_key.create', 'api_key.revoke', 'vault.detokenize'].map(rowsOf),
  );
  const isOwn = (text: string | undefined) => text?.startsWith(`${name}-`) === true;
  const ids = (rows: AuditRow[] = []) => rows.map(({ resource_id }) => resource_id).sort();
  const tokenIds = (rows: AuditRow[] = []) =>
    rows
      .filter(({ details }) => details['vault'] === name)
      .map(({ details }) => details['token_id'] ?? '')
      .sort();
  const traces: Traces = {
    tokenize: tokenIds(tokenized),
    vault: ids(vaults?.filter(({ details }) => isOwn(details['vault']))),
    key: ids(keys?.filter(({ details }) => isOwn(details['name']))),
    revoke: ids(revoked?.filter(({ details }) => isOwn(details['name']))),
  };
  return {
    traces,
    sent: tokenIds(detokenized?.filter(({ details }) => details['via'] === 'ephemeral_proxy')),
  };
}

/** Every acknowledged act has the effect that its answer told of. */
export async function expectEffects(scene: Scene, load: Load): Promise<void> {
  const revoked = new Set(answered(load, 'revoke').map(({ subject }) => subject));
  const mayBeRevoked = new Set(unanswered(load, 'revoke').map(({ subject }) => subject));
  const read = async (path: string, key?: string) => {
    const { status, text } = await scene.api('GET', path, undefined, key);
    return { status, ...(JSON.parse(text) as { data?: Record<string, string> }) };
  };
  await Promise.all([
    ...answered(load, 'tokenize').map(async ({ mark, path, data }) => {
      const found = await read(`${path}/${data?.['token']}`);
      expect([found.status, found.data?.['value']], mark).toEqual([200, mark]);
    }),
    ...answered(load, 'vault').map(async ({ mark, path, data }) => {
      const found = await read(`${path}/${data?.['id']}`);
      expect([found.status, found.data?.['name']], mark).toEqual([200, mark]);
    }),
    ...answered(load, 'key')
      .filter((act) => !mayBeRevoked.has(act))
      .map(async (act) => {
        const { status } = await read('/v1/vaults', act.data?.['api_key']);
        expect(status, act.mark).toBe(revoked.has(act) ? 401 : 200);
      }),
  ]);
}

/** What the upstream got was right, and each value that it got has its one audit row. */
export function expectAudited(load: Load, sent: readonly string[]): void {
  const subjects = new Map(load.acts.map((act) => [act.mark, act.subject]));
  const received = load.receipts.map(({ mark, card }) => {
    expect(card, mark).toBe(subjects.get(mark)?.mark);
    return subjects.get(mark)?.data?.['id'] ?? '';
  });
  expect(received.filter((id) => sent.filter((other) => other === id).length !== 1)).toEqual([]);
  const asked = load.acts.filter(({ kind }) => kind === 'proxy').map(({ subject }) => subject?.data?.['id']);
  expect(sent.filter((id) => !asked.includes(id))).toEqual([]);
  expect(new Set(sent).size, 'one audit row a call').toBe(sent.length);
  const marks = new Set(load.receipts.map(({ mark }) => mark));
  expect(answered(load, 'proxy').filter(({ mark }) => !marks.has(mark))).toEqual([]);
}

/**
 * Sends again, with its idempotency key, each call that was left without an answer: twice, for one effect. Returns how
 * many of them had happened. A proxied call has no such key.
 */
export async function repeatUnanswered(load: Load): Promise<{ repeated: number; hadHappened: number }> {
  const left = load.acts.filter((act) => act.kind !== 'proxy' && act.data === null);
  const outcomes = await Promise.all(
    left.map(async (act: Act) => {
      const first = await load.repeat(act);
      const second = await load.repeat(act);
      expect([second.isReplay, second.data], act.mark).toEqual([true, first.data]);
      act.data = first.data;
      return first.isReplay;
    }),
  );
  return { repeated: left.length, hadHappened: outcomes.filter(Boolean).length };
}

/** Each act of the load once. */
export function expectedCounts(load: Load): Record<keyof Traces, number> {
  const count = (kind: Kind) => load.acts.filter((act) => act.kind === kind).length;
  return { tokenize: count('tokenize'), vault: count('vault'), key: count('key'), revoke: count('revoke') };
}

export function countsOf(traces: Traces): Record<keyof Traces, number> {
  const { tokenize, vault, key, revoke } = traces;
  return { tokenize: tokenize.length, vault: vault.length, key: key.length, revoke: revoke.length };
}

export async function countAuditRows(scene: Scene): Promise<number> {
  const { text } = await scene.api('GET', '/v1/audit-logs?per_page=1');
  return (JSON.parse(text) as { meta: { total: number } }).meta.total;
}

export async function verifyChain(scene: Scene): Promise<unknown> {
  const { text } = await scene.api('GET', '/v1/audit-logs/chain/verify');
  return (JSON.parse(text) as { data: unknown }).data;
}

async function listAll<Row>(scene: Scene, path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (let page = 1; ; page++) {
    const paged = `${path}${path.includes('?') ? '&' : '?'}per_page=100&page=${page}`;
    const { status, text } = await scene.api('GET', paged);
    expect(status, text).toBe(200);
    const { data, meta } = JSON.parse(text) as { data: Row[]; meta: { total: number } };
    rows.push(...data);
    if (data.length === 0 || rows.length >= meta.total) return rows;
  }
}

const sortedIds = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id).sort();
