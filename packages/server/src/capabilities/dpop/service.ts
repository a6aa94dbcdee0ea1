import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import { cacheCounts, createLru } from '../../platform/cache/lru.js';
import {
  createSignatureVerifier,
  SIGNATURE_ALGORITHMS,
  type SignatureVerifier,
} from '../../platform/crypto/jws.js';
import type { Database, Insertion, Transaction } from '../../platform/storage/database.js';
import type { Counter, Instruments } from '../../platform/telemetry/instruments.js';
import { DpopError } from './errors.js';
import { createNonces } from './nonces.js';
import {
  type CheckRunner,
  checkProof,
  type KnownHeader,
  PROOF_CHECKS,
  type ProofCheck,
  type ProofRequest,
  type ProofRules,
  refuseReplay,
  type VerifiedProof,
} from './proof.js';
import { createReplays } from './replays.js';
import { createProofStore } from './store.js';

export interface DpopDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly rootKey: Secret<Buffer>;
  /** `KNOX_DPOP_IAT_WINDOW_SECONDS`. */
  readonly iatWindowMs: number;
  readonly instruments: Instruments;
  /** The product's own unless a test counts what reaches it. */
  readonly signatures?: SignatureVerifier;
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly reason?: string;
}

/** Proof of possession of RFC 9449: one proof is good for one request. */
export interface Dpop {
  /** All checks, the signature last; asks whether the proof was used, does not use it. Throws `DpopError`. */
  verify(request: ProofRequest): Promise<VerifiedProof>;
  /** Uses the proof in the caller's transaction; throws `DpopError` where it was used meanwhile. */
  consumeIn(tx: Transaction, proof: VerifiedProof): Promise<void>;
  /** The same by itself, or with rows that are to be written with it; durable before it resolves. */
  consume(proof: VerifiedProof, rows?: readonly Insertion[]): Promise<void>;
  readonly algorithms: readonly string[];
  /** For `DPoP-Nonce`. */
  nonce(): string;
  /** The checks one by one, as far as they can go: throws no `DpopError`, uses nothing. */
  explain(request: ProofRequest): Promise<readonly CheckResult[]>;
  removeExpired(rowsMax: number): Promise<{ rows: number; hasMore: boolean }>;
}

export function createDpop(deps: DpopDeps): Dpop {
  const { db, clock, instruments, iatWindowMs } = deps;
  const store = createProofStore(db);
  const replays = createReplays({ store, clock });
  const nonces = createNonces(deps);
  const counts = outcomeCounts(instruments);
  const signatures =
    deps.signatures ??
    createSignatureVerifier({
      keysMax: LIMITS.dpopKeysKept,
      counts: cacheCounts(instruments, 'dpop_keys'),
    });

  const headers = createLru<string, KnownHeader>({ entriesMax: LIMITS.dpopKeysKept });

  const rulesNow = (): ProofRules => ({
    nowMs: clock.nowMs(),
    iatWindowMs,
    nonces,
    replays,
    signatures,
    headers,
  });

  /** Of two requests with one proof that both passed the look-up, one is told here. */
  function settle(isFirst: boolean): void {
    counts[isFirst ? 'accepted' : 'replay'].add();
    refuseReplay(!isFirst);
  }

  return {
    algorithms: SIGNATURE_ALGORITHMS,
    nonce: () => nonces.current(),

    async verify(request) {
      try {
        return await checkProof(request, rulesNow(), throwing);
      } catch (error) {
        if (error instanceof DpopError) counts[error.check as ProofCheck].add();
        throw error;
      }
    },

    async consumeIn(tx, { replayKey, expiresAtMs }) {
      settle(await replays.takeIn(tx, replayKey, expiresAtMs));
    },

    async consume({ replayKey, expiresAtMs }, rows = []) {
      settle(await replays.take(replayKey, expiresAtMs, rows));
    },

    async explain(request) {
      const results: CheckResult[] = [];
      try {
        await checkProof(request, rulesNow(), writingDown(results));
      } catch (error) {
        if (!(error instanceof DpopError)) throw error;
      }
      return results;
    },

    async removeExpired(rowsMax) {
      const rows = await store.removeExpired(clock.nowMs(), rowsMax);
      return { rows, hasMore: rows >= rowsMax };
    },
  };
}

const throwing: CheckRunner = {
  need: (_name, check) => check(),
  check: (_name, check) => check(),
};

/** A check that fails and stands by itself does not end the rest. */
function writingDown(results: CheckResult[]): CheckRunner {
  function need<T>(name: ProofCheck, check: () => T): T {
    try {
      const value = check();
      results.push({ name, ok: true });
      return value;
    } catch (error) {
      if (error instanceof DpopError) results.push({ name, ok: false, reason: error.reason });
      throw error;
    }
  }
  return {
    need,
    check(name, check) {
      try {
        need(name, check);
      } catch (error) {
        if (!(error instanceof DpopError)) throw error;
      }
    },
  };
}

function outcomeCounts(instruments: Instruments): Record<ProofCheck | 'accepted', Counter> {
  const help = 'DPoP proofs that were used, or the check that refused them.';
  const counterOf = (outcome: string) => [
    outcome,
    instruments.counter('knox_dpop_proofs_total', help, { outcome }),
  ];
  return Object.fromEntries([...PROOF_CHECKS, 'accepted'].map(counterOf));
}
