import { assert } from '../../kernel/assert.js';
import { type Clock, minuteText } from '../../kernel/clock.js';
import { isAppError, notFound, validationError } from '../../kernel/errors.js';
import type { IdSource, TenantId } from '../../kernel/ids.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { createLine } from '../../kernel/line.js';
import type { Visitor } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import { isTenantSlug } from '../../platform/http/hosts.js';
import type { Mailer } from '../../platform/mail/mail.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import {
  type Accounts,
  createVisitorWrites,
  foldEmail,
  type PreparedOwner,
  systemActor,
  type Tenant,
} from '../accounts/index.js';
import type { ApiKeys, CreatedApiKey } from '../api-keys/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { TenantKeys } from '../kms/index.js';
import { alreadyClaimed, LinkRefused, slugTaken, tooManyAtOnce, tooManySignups } from './errors.js';
import { knownAddressMail, linkMail } from './mails.js';
import { slugOf, slugsLike } from './slug.js';
import { type CountedBy, createSignupStore, type Signup, type SignupRequest } from './store.js';

export type { Signup, SignupRequest } from './store.js';

export interface SignupsDeps {
  /** `KNOX_SIGNUP`: without it none of this is served. */
  readonly isOn: boolean;
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly accounts: Pick<
    Accounts,
    'createTenantWithOwner' | 'findUserId' | 'isSlugFree' | 'prepareOwner' | 'tenantById'
  >;
  readonly apiKeys: Pick<ApiKeys, 'prepare' | 'createIn'>;
  readonly tenantKeys: Pick<TenantKeys, 'prepare' | 'createFor'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly mailer: Pick<Mailer, 'send'>;
  /** The public origin of a plain address: where the mailed link leads. */
  origin(): string;
}

/** Without a slug one is made of the name. */
export type SignupInput = Omit<SignupRequest, 'tenantSlug'> & { readonly tenantSlug: string | null };

export interface Begun {
  /** Shown once; whoever has it is told when the link was used, and gets the key. */
  readonly claimHandle: Secret<string>;
  readonly expiresAtMs: number;
}

export type Claim =
  | { readonly status: 'pending'; readonly expiresAtMs: number }
  | { readonly status: 'ready'; readonly tenant: Tenant; readonly apiKey: CreatedApiKey };

/** A tenant for a stranger, once the owner of the address has said so (auth.md §7). */
export interface Signups {
  readonly isOn: boolean;
  /** The same answer, after the same work, for an address that has an account. Nothing but the request is written. */
  begin(input: SignupInput, visitor: Visitor): Promise<Begun>;
  /** Gives the key away once: 409 from then on, and 404 for a handle that is unknown or whose time is over. */
  claim(handle: Secret<string>, visitor: Visitor): Promise<Claim>;
  /** What a link is about; throws `LinkRefused`. */
  linked(link: Secret<string>): Promise<Signup>;
  /** Makes user and tenant; throws `LinkRefused`, and 400 for a password that will not do. */
  confirm(link: Secret<string>, password: Secret<string>, visitor: Visitor): Promise<Tenant>;
  removeEnded(rowsMax: number): Promise<number>;
}

const TOKEN_BYTES = 32;
const SLUG_ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const SLUG_LETTERS = 6;
/** Others may take a slug, or make the same address an account, between the look and the commit. */
const TRIES_MAX = 5;

export function createSignups(deps: SignupsDeps): Signups {
  const { db, clock, ids, random, accounts, apiKeys, tenantKeys, auditLogs, mailer } = deps;
  const store = createSignupStore(db);
  const visitorWrites = createVisitorWrites(db);
  const hashing = createLine({
    atOnceMax: 1,
    waitingMax: LIMITS.visitorWritesWaitingMax,
    refusal: tooManyAtOnce,
  });

  function drawToken(): Secret<string> {
    return new Secret(random.bytes(TOKEN_BYTES).toString('base64url'));
  }

  const hashOf = (token: Secret<string>) => sha256(token.reveal());

  /** Strangers are turned away by a read; asked again in the transaction, which lets no two count the same. */
  async function refuseMany(network: string, nowMs: number, tx?: Transaction): Promise<void> {
    const { signupsPerWindowMax: most, signupWindowMs } = LIMITS;
    const by: CountedBy = { column: 'network', value: network };
    const times = await store.newest(by, nowMs - signupWindowMs, most, tx);
    const oldest = times[most - 1];
    if (oldest !== undefined) throw tooManySignups(oldest + signupWindowMs - nowMs);
  }

  async function freeSlug(wanted: string): Promise<string> {
    for (const slug of slugsLike(wanted, () => random.text(SLUG_ALPHABET, SLUG_LETTERS)))
      if (await accounts.isSlugFree(slug)) return slug;
    throw new Error('unreachable: the last slugs are drawn');
  }

  async function linked(link: Secret<string>): Promise<Signup> {
    const signup = await store.find('link_hash', hashOf(link), clock.nowMs());
    if (!signup)
      throw new LinkRefused(404, 'This link is not valid, or its time is over. Sign up once more.');
    if (signup.status !== 'pending')
      throw new LinkRefused(409, 'This link was used already: the account is there.');
    return signup;
  }

  async function make(signup: Signup, owner: PreparedOwner, visitor: Visitor): Promise<Tenant> {
    const id = ids.uuid() as TenantId;
    const slug = await freeSlug(signup.tenantSlug);
    const masterKey = await tenantKeys.prepare(id);
    const { tenantName: name, region, country } = signup;
    return db.transaction(async (tx) => {
      if (!(await store.advance(tx, signup.handleHash, 'pending', 'confirmed', id)))
        throw new LinkRefused(409, 'This link was used already: the account is there.');
      const tenant = await accounts.createTenantWithOwner(
        tx,
        { id, slug, name, plan: 'free', region, country },
        owner,
      );
      await tenantKeys.createFor(tx, id, masterKey);
      const userId = await accounts.findUserId(owner.email, tx);
      assert(userId, 'the owner was made');
      const actor = { ...systemActor(id), userId, ...visitor };
      await auditLogs.record(tx, actor, signupEntry('account.signup', id, { slug, name, region, country }));
      return tenant;
    });
  }

  return {
    isOn: deps.isOn,

    async begin(input, visitor) {
      const { tenantSlug, ...asked } = input;
      if (tenantSlug !== null) {
        if (!isTenantSlug(tenantSlug))
          throw validationError('tenant_slug', 'must be one DNS label in lower case that is not reserved');
        if (!(await accounts.isSlugFree(tenantSlug))) throw slugTaken();
      }
      const nowMs = clock.nowMs();
      const network = networkOf(visitor.ip);
      await refuseMany(network, nowMs);
      const isKnown = (await accounts.findUserId(input.email)) !== undefined;
      const [handle, link] = [drawToken(), drawToken()];
      const signup = {
        ...asked,
        tenantSlug: tenantSlug ?? slugOf(input.tenantName),
        handleHash: hashOf(handle),
        linkHash: hashOf(link),
        emailFolded: foldEmail(input.email),
        ip: visitor.ip,
        network,
        createdAtMs: nowMs,
        expiresAtMs: nowMs + LIMITS.signupHandleMs,
      };
      const isMailed = await visitorWrites(async (tx) => {
        await refuseMany(network, nowMs, tx);
        const most = LIMITS.signupMailsPerAddressMax;
        const by: CountedBy = { column: 'email_folded', value: signup.emailFolded };
        const before = await store.newest(by, nowMs - LIMITS.signupHandleMs, most, tx);
        await store.insert(tx, signup);
        // Nobody fills the mailbox of another; whoever asked is told nothing of it.
        return before.length < most;
      });
      const by = { from: visitor.ip ?? 'an unknown address', at: minuteText(nowMs), origin: deps.origin() };
      if (isMailed) mailer.send(isKnown ? knownAddressMail(signup, by) : linkMail(signup, by, link));
      return { claimHandle: handle, expiresAtMs: signup.expiresAtMs };
    },

    async claim(handle, visitor) {
      const hash = hashOf(handle);
      const signup = await store.find('handle_hash', hash, clock.nowMs());
      if (!signup) throw notFound('Claim handle');
      if (signup.status === 'claimed') throw alreadyClaimed();
      if (signup.tenantId === null) return { status: 'pending', expiresAtMs: signup.expiresAtMs };
      const tenant = await accounts.tenantById(signup.tenantId);
      if (!tenant) throw notFound('Claim handle');
      const prepared = apiKeys.prepare('test', 'Getting started');
      const apiKey = await db.transaction(async (tx) => {
        if (!(await store.advance(tx, hash, 'confirmed', 'claimed', tenant.id))) throw alreadyClaimed();
        const actor = { ...systemActor(tenant.id), ...visitor };
        const sandbox = { ...actor, scope: { tenantId: tenant.id, sandbox: true } };
        const created = await apiKeys.createIn(tx, sandbox, prepared);
        await auditLogs.record(tx, actor, signupEntry('account.claim', tenant.id, { key_id: created.keyId }));
        return created;
      });
      return { status: 'ready', tenant, apiKey };
    },

    linked,

    async confirm(link, password, visitor) {
      const signup = await linked(link);
      const prepared = await hashing.inTurn(() => accounts.prepareOwner(signup.email, password));
      const owner = { ...prepared, fullName: signup.fullName };
      for (let attempt = 1; ; attempt++) {
        if (await accounts.findUserId(signup.email))
          throw new LinkRefused(409, 'There is an account of this address already: sign in with it.');
        try {
          return await make(signup, owner, visitor);
        } catch (error) {
          const isTaken = error instanceof UniqueViolation || isAppError(error, 'conflict');
          if (!isTaken || attempt === TRIES_MAX) throw error;
        }
      }
    },

    removeEnded: (rowsMax) => db.transaction((tx) => store.removeEnded(tx, clock.nowMs(), rowsMax)),
  };
}

function signupEntry(action: string, tenantId: TenantId, details: Record<string, unknown>) {
  return { action, resourceType: 'tenant', resourceId: tenantId, details };
}
