import type { IncomingMessage, RequestListener } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Scene } from './scene.js';

const CALLERS = 8;

/** How often each kind is drawn; one that lacks what it is about becomes a tokenize. */
const WEIGHTS = { tokenize: 8, proxy: 6, vault: 2, key: 3, revoke: 2 } as const;

export type Kind = keyof typeof WEIGHTS;

/** One call of the load. */
export interface Act {
  readonly kind: Kind;
  /** Unique: the name or the value of what it makes, and the idempotency key of its call. */
  readonly mark: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** The token that a proxied call refers to, the key that is revoked. */
  readonly subject?: Act;
  /** What its 2xx answer held; null while none has come. */
  data: Readonly<Record<string, string>> | null;
}

/** What the upstream got of a proxied call. */
interface Receipt {
  readonly mark: string;
  readonly card: string;
}

/** A whole number in 0..bound-1. */
export type Draw = (bound: number) => number;

/** The same numbers for the same seed (mulberry32). */
export function createDraw(seed: number): Draw {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** When the server is killed: after so many acknowledgements, and so many turns of this side's loop later. */
export interface KillPoint {
  readonly acknowledgements: number;
  readonly turns: number;
}

export interface Load {
  /** Of this load; the names of all that it makes begin with it. */
  readonly name: string;
  /** By the server's clock. */
  readonly startedAt: string;
  readonly acts: readonly Act[];
  readonly receipts: readonly Receipt[];
  /** Calls from all sides at once; resolves when the killed server has left all of them with an answer or without. */
  runUntil(point: KillPoint): Promise<void>;
  /** The call of an act again, the idempotency key too. */
  repeat(act: Act): Promise<{ readonly isReplay: boolean; readonly data: Record<string, string> }>;
}

/** The upstream of all loads: hands on what it has received before it answers. */
export function createReceiver() {
  const state = { onReceipt: (_receipt: Receipt): void => {} };
  const handler: RequestListener = (request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      state.onReceipt(JSON.parse(Buffer.concat(chunks).toString()) as Receipt);
      response.end();
    });
  };
  return { handler, state };
}

export interface LoadOptions extends Pick<Load, 'name' | 'startedAt'> {
  readonly scene: Scene;
  readonly receiver: ReturnType<typeof createReceiver>;
  readonly draw: Draw;
}

/** Makes the vault of its tokens; then it is ready to run. */
export async function prepareLoad(options: LoadOptions): Promise<Load> {
  const { scene, receiver, draw, name, startedAt } = options;
  const acts: Act[] = [];
  const receipts: Receipt[] = [];
  const subjects: Record<'proxy' | 'revoke', Act[]> = { proxy: [], revoke: [] };
  const kinds = Object.entries(WEIGHTS).flatMap(([kind, weight]) => Array<Kind>(weight).fill(kind as Kind));
  let isKilled = false;

  function nextAct(): Act {
    const drawn = kinds[draw(kinds.length)]!;
    const waiting = drawn === 'proxy' || drawn === 'revoke' ? subjects[drawn] : null;
    const subject = waiting?.splice(draw(waiting.length), 1)[0];
    const kind = waiting && !subject ? 'tokenize' : drawn;
    const mark = `${name}-${acts.length}`;
    const act = {
      kind,
      mark,
      ...(subject ? { subject } : {}),
      ...requestOf(kind, mark, subject),
      data: null,
    };
    acts.push(act);
    return act;
  }

  function requestOf(kind: Kind, mark: string, subject: Act | undefined) {
    switch (kind) {
      case 'tokenize':
        return { method: 'POST', path: `/v1/vaults/${name}/tokens`, body: { value: mark } };
      case 'vault':
        return { method: 'POST', path: '/v1/vaults', body: { name: mark } };
      case 'key':
        return { method: 'POST', path: '/v1/api-keys', body: { name: mark } };
      case 'revoke':
        return { method: 'DELETE', path: `/v1/api-keys/${subject?.data?.['id']}` };
      case 'proxy': {
        const card = `{{ token: ${name}.${subject?.data?.['token']} }}`;
        return { method: 'POST', path: '/v1/proxy', body: { mark, card } };
      }
    }
  }

  function send(act: Act) {
    if (act.kind !== 'proxy') {
      return scene.api(act.method, act.path, act.body, undefined, { 'x-idempotency-key': act.mark });
    }
    return scene.proxied(`${scene.target}/charge`, {
      method: act.method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(act.body),
    });
  }

  async function perform(act: Act) {
    const { status, headers, text } = await send(act);
    if (status < 200 || status > 299) throw new Error(`${act.method} ${act.path}: ${status} ${text}`);
    const { data } =
      act.kind === 'proxy' ? { data: {} } : (JSON.parse(text) as { data: Record<string, string> });
    return { isReplay: headers.get('x-idempotent-replay') === 'true', data };
  }

  async function callUntilKilled(onAcknowledged: () => void): Promise<void> {
    while (!isKilled) {
      const act = nextAct();
      try {
        act.data = (await perform(act)).data;
      } catch (error) {
        // Only the kill may leave a call without its answer, and it never leaves one with a refusal.
        if (isKilled && error instanceof TypeError) return;
        throw error;
      }
      if (act.kind === 'tokenize') subjects.proxy.push(act);
      if (act.kind === 'key') subjects.revoke.push(act);
      onAcknowledged();
    }
  }

  await scene.api('POST', '/v1/vaults', { name });
  return {
    name,
    startedAt,
    acts,
    receipts,
    repeat: perform,
    async runUntil({ acknowledgements, turns }) {
      let count = 0;
      const kill = async () => {
        for (let turn = 0; turn < turns; turn++) await nextTurn();
        isKilled = true;
        scene.server.signal('SIGKILL');
      };
      const onAcknowledged = () => {
        count++;
        if (count === acknowledgements) void kill();
      };
      receiver.state.onReceipt = (receipt) => {
        receipts.push(receipt);
        onAcknowledged();
      };
      await Promise.all(Array.from({ length: CALLERS }, () => callUntilKilled(onAcknowledged)));
    },
  };
}
