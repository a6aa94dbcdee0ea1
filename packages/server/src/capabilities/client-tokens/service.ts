import { assert } from '../../kernel/assert.js';
import { type Clock, isoTime } from '../../kernel/clock.js';
import { isAppError, permissionMissing } from '../../kernel/errors.js';
import { type ClientTokenId, type IdSource, modeOf, type VaultId } from '../../kernel/ids.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import {
  actorOf,
  type Caller,
  type Capability,
  type CapabilityAction,
  type CapabilityCaller,
  type Principal,
} from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import { equalInConstantTime, sha256 } from '../../platform/crypto/hashing.js';
import { newOpaqueToken } from '../../platform/crypto/opaque-token.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Admission, CapabilityCall, CapabilityHolders } from '../../platform/http/caller.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { type Makers, makerOf } from '../authentication/index.js';
import type { Vaults } from '../vaults/index.js';
import { createEntry } from './audit.js';
import { Consumption } from './consumption.js';
import { invalidClientToken, tokenRequired, tooManyFailures, wrongMode } from './errors.js';
import { createClientTokenStore, type StoredClientToken } from './store.js';
import { USES } from './tables.js';

export interface NewCapability extends Pick<Capability, 'action' | 'dataHash' | 'role' | 'origins'> {
  /** Name or id. */
  readonly vault: string | null;
  readonly ttlSeconds: number;
}

export interface MadeClientToken extends Capability {
  readonly token: Secret<string>;
  readonly expiresAtMs: number;
}

/** What a use is about; it has to be what the token was made for. */
export interface Use {
  readonly dataHash?: Buffer;
  readonly role?: string;
  /** Name or id. */
  readonly vault?: string;
}

/** Tokens for browsers, each good for one act (clients-pki.md §5; docs/decisions/0086). */
export interface ClientTokens extends CapabilityHolders {
  /** 403 where the caller may not do the act itself. */
  create(caller: Caller, input: NewCapability): Promise<MadeClientToken>;
  /**
   * Does the act as the maker, and uses the token up in its commit; 401 where the token is for something else or others
   * were faster. An act that fails leaves the token as it was.
   */
  use<T>(caller: CapabilityCaller, use: Use, act: (maker: Caller) => Promise<T>): Promise<T>;
  removeEnded(rowsMax: number): Promise<number>;
}

export interface ClientTokensDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly makers: Makers;
  readonly vaults: Pick<Vaults, 'usable'>;
}

type Made = Pick<StoredClientToken, 'scope' | 'maker' | 'action'>;

const PREFIX = 'kct_';
const FORM = /^kct_[A-Za-z0-9_-]{43}$/;
const WINDOW_MS = 60_000;
const NETWORKS_KEPT = 10_000;

const PERMISSIONS = {
  decrypt: 'crypto:decrypt',
  detokenize: 'vaults:detokenize',
  tokenize: 'vaults:tokenize',
} as const satisfies Record<CapabilityAction, string>;

export function createClientTokens(deps: ClientTokensDeps): ClientTokens {
  const { db, clock, ids, random, auditLogs, makers, vaults } = deps;
  const store = createClientTokenStore(db);
  const failuresOf = createCountWindows(clock, { windowMs: WINDOW_MS, namesMax: NETWORKS_KEPT });
  /** The last that waits, of each token with which something is tried now. */
  const judgings = new Map<ClientTokenId, Promise<void>>();

  /** Not ended, and none with which too much else was tried. */
  function isGood({ expiresAtMs, misses }: Pick<StoredClientToken, 'expiresAtMs' | 'misses'>): boolean {
    return expiresAtMs > clock.nowMs() && misses < LIMITS.clientTokenMissesMax;
  }

  async function find(text: string): Promise<StoredClientToken | undefined> {
    if (!FORM.test(text)) return undefined;
    const hash = sha256(text);
    const token = await store.findByHash(hash);
    return token && equalInConstantTime(token.hash, hash) ? token : undefined;
  }

  /** Who may not call at all is told before the body is read; the token stays as it is. */
  async function admitted(token: StoredClientToken, call: CapabilityCall): Promise<Principal> {
    const { action, origins } = token;
    const isMeant = action === call.action && (origins === null || origins.includes(call.origin ?? ''));
    const principal = isMeant && !token.isUsed && isGood(token) ? await makerNow(token) : undefined;
    if (!principal || !isTenantOf(call.host, principal)) throw invalidClientToken();
    if (call.host.mode !== null && call.host.mode !== modeOf(principal.scope)) throw wrongMode(principal);
    return principal;
  }

  async function isFor(caller: CapabilityCaller, use: Use): Promise<boolean> {
    const { action, dataHash, role, vaultId } = caller.capability;
    if (dataHash !== null && !(use.dataHash && equalInConstantTime(dataHash, use.dataHash))) return false;
    if (role !== null && use.role !== undefined && use.role !== role) return false;
    if (action === 'decrypt' || use.vault === undefined) return true;
    const vault = await usableVault(caller, PERMISSIONS[action], use.vault);
    return vault !== undefined && (vaultId === null || vault === vaultId);
  }

  /** The maker as it is now; undefined where it could not do the act itself any more. */
  async function makerNow({ scope, maker, action }: Made): Promise<Principal | undefined> {
    const principal = await makers.principalOf(scope, maker);
    return principal?.may(PERMISSIONS[action]) ? principal : undefined;
  }

  /**
   * Its body comes after the token was admitted, and so may the end of that, or of what its maker may; others may have
   * missed meanwhile. The caller as its maker is now.
   */
  async function judge(caller: CapabilityCaller, use: Use): Promise<CapabilityCaller> {
    const { capability } = caller;
    const { scope } = caller.principal;
    const left = await store.findLeft(scope, capability.id);
    if (!left || !isGood(left)) throw invalidClientToken();
    const maker = makerOf(caller.principal);
    const principal = await makerNow({ scope, maker, action: capability.action });
    if (!principal) throw invalidClientToken();
    const current = { ...caller, principal };
    if (await isFor(current, use)) return current;
    await db.transaction((tx) => store.countMiss(tx, scope, capability.id));
    throw invalidClientToken();
  }

  /** One after the other of each token: else of a thousand tries at once each would be the first. */
  async function judgeInTurn(caller: CapabilityCaller, use: Use): Promise<CapabilityCaller> {
    const { id } = caller.capability;
    const judging = (judgings.get(id) ?? Promise.resolve()).then(() => judge(caller, use));
    const ended = judging.then(
      () => {},
      () => {},
    );
    judgings.set(id, ended);
    try {
      return await judging;
    } finally {
      if (judgings.get(id) === ended) judgings.delete(id);
    }
  }

  /** What the maker cannot use is as what it was not made for. */
  async function usableVault(
    caller: Caller,
    permission: 'vaults:tokenize' | 'vaults:detokenize',
    name: string,
  ) {
    try {
      return (await vaults.usable(caller, permission, name)).id;
    } catch (error) {
      if (isAppError(error, 'not_found') || isAppError(error, 'forbidden')) return undefined;
      throw error;
    }
  }

  async function vaultOf(
    caller: Caller,
    action: CapabilityAction,
    name: string | null,
  ): Promise<VaultId | null> {
    if (name === null) return null;
    assert(action !== 'decrypt', 'no vault is asked for');
    return (await vaults.usable(caller, PERMISSIONS[action], name)).id;
  }

  return {
    async create(caller, { action, dataHash, role, origins, vault, ttlSeconds }) {
      const { scope } = caller.principal;
      if (!caller.principal.may(PERMISSIONS[action])) throw permissionMissing(PERMISSIONS[action]);
      const vaultId = await vaultOf(caller, action, vault);
      const { token, hash } = newOpaqueToken(random, PREFIX);
      const createdAtMs = clock.nowMs();
      const lifeMs = Math.min(ttlSeconds, LIMITS.clientTokenSecondsMax) * 1000;
      const expiresAtMs = createdAtMs + lifeMs;
      const capability = { id: ids.uuid() as ClientTokenId, action, dataHash, role, vaultId, origins };
      const maker = makerOf(caller.principal);
      return db.transaction(async (tx) => {
        await store.insert(tx, { ...capability, scope, hash, maker, createdAtMs, expiresAtMs });
        await auditLogs.record(tx, actorOf(caller), createEntry(capability, isoTime(expiresAtMs)));
        const made = { ...capability, token, expiresAtMs };
        await recordAnswer(tx, caller, made);
        return made;
      });
    },

    async admit(call): Promise<Admission> {
      if (call.token === null) return { origin: null, refusal: tokenRequired() };
      const failures = failuresOf(networkOf(call.ip));
      if (failures.count >= LIMITS.clientTokenFailuresPerMinute)
        return { origin: null, refusal: tooManyFailures(failures.leftMs()) };
      const token = await find(call.token);
      const { origin } = call;
      const pinned = token?.origins;
      // Also of a token that is used up: its page may read why.
      const readers = { origin: pinned && origin !== null && pinned.includes(origin) ? origin : null };
      try {
        if (!token) throw invalidClientToken();
        const principal = await admitted(token, call);
        return { ...readers, principal, capability: token };
      } catch (error) {
        if (!isAppError(error)) throw error;
        if (error.status === 401) failures.count++;
        return { ...readers, refusal: error };
      }
    },

    async use(admittedCaller, use, act) {
      const caller = await judgeInTurn(admittedCaller, use);
      const { principal, requestId, ip } = caller;
      const consumption = new Consumption({ store, auditLogs }, caller, actorOf(caller), clock.nowMs());
      try {
        const result = await act({ principal, requestId, ip, idempotency: consumption });
        assert(consumption.isUsed, 'an act was done without its token');
        return result;
      } catch (error) {
        if (error instanceof UniqueViolation && error.table === USES) throw invalidClientToken();
        throw error;
      }
    },

    removeEnded: (rowsMax) =>
      db.transaction((tx) => store.removeEnded(tx, clock.nowMs() - LIMITS.clientTokenKeptMs, rowsMax)),
  };
}

/** On a tenant's host another one's is worth nothing. */
function isTenantOf({ tenantSlug }: ResolvedHost, principal: Principal): boolean {
  return tenantSlug === null || tenantSlug === principal.tenantSlug;
}
