import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import type { JsonObject } from '../../kernel/strict-json.js';
import type { SignatureVerifier } from '../../platform/crypto/jws.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { AccountEnds } from './account-ends.js';
import type { Account, AccountStore, ExternalKey } from './account-store.js';
import { accountEntry } from './audit.js';
import { readContacts } from './contacts.js';
import { bindingRefused, bindingRequired, type ExternalKeys } from './external-keys.js';
import { verifyingKey } from './jws.js';
import { countedWhile } from './network-counts.js';
import { AcmeProblem, malformed, notAuthorized, notThere, rateLimited } from './problems.js';
import {
  type AccountRequest,
  type AcmeCall,
  actorIn,
  payloadOf,
  readInner,
  type SignedRequest,
} from './signed-requests.js';

/** RFC 8555 §7.3. */
export interface AcmeAccounts {
  create(
    call: AcmeCall,
    request: SignedRequest,
  ): Promise<{ readonly account: Account; readonly isNew: boolean }>;
  /** An empty payload reads it. 404 for another's. */
  update(call: AcmeCall, request: AccountRequest, id: string): Promise<Account>;
  /** RFC 8555 §7.3.5. */
  changeKey(call: AcmeCall, request: AccountRequest): Promise<Account>;
}

export interface AcmeAccountsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly signatures: SignatureVerifier;
  readonly accounts: AccountStore;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly ends: AccountEnds;
  readonly externalKeys: Pick<ExternalKeys, 'verify'>;
}

export function createAcmeAccounts(deps: AcmeAccountsDeps): AcmeAccounts {
  const { db, clock, ids, signatures, accounts, auditLogs, ends, externalKeys } = deps;
  const windowsOf = () =>
    createCountWindows(clock, { windowMs: LIMITS.acmeAccountWindowMs, namesMax: LIMITS.rateLimitsKept });
  const newAccounts = { windows: windowsOf(), most: LIMITS.acmeAccountsPerNetworkMax, what: 'accounts' };
  const keyChanges = { windows: windowsOf(), most: LIMITS.acmeKeyChangesPerNetworkMax, what: 'keys' };

  async function find({ target }: AcmeCall, { key }: SignedRequest): Promise<Account | undefined> {
    const account = await accounts.findByKey(target.scope, target.role.id, key.thumbprint);
    if (account && account.status !== 'valid') throw notAuthorized(`The account is ${account.status}`, 401);
    return account;
  }

  async function externalKeyOf(
    { target, urls }: AcmeCall,
    { key }: SignedRequest,
    { externalAccountBinding: binding }: JsonObject,
  ): Promise<ExternalKey | null> {
    if (binding !== undefined)
      return externalKeys.verify(target.scope, target.role.id, urls.newAccount, key, binding);
    if (target.role.acmeRequireEab) throw bindingRequired();
    return null;
  }

  /** Of each network so many, those that are being made too: each is a row of the tenant's audit log. */
  function ofNetwork<T>(
    { windows, most, what }: typeof newAccounts,
    { target, visitor }: AcmeCall,
    make: () => Promise<T>,
  ): Promise<T> {
    const window = windows(`${target.role.id} ${networkOf(visitor.ip)}`);
    return countedWhile({ window, count: 1, most, what }, make);
  }

  /** Strangers make them where no key is required; however many those are, who has a key is let in (docs/decisions/0088). */
  async function admitStranger({ target }: AcmeCall): Promise<void> {
    if ((await accounts.countStrangers(target.scope, target.role.id)) >= LIMITS.acmeAccountsPerRoleMax)
      throw rateLimited('This directory has as many accounts as it may have', LIMITS.acmeAccountWindowMs);
  }

  async function insert(call: AcmeCall, account: Account, externalKey: ExternalKey | null): Promise<void> {
    const { scope } = call.target;
    await db.transaction(async (tx) => {
      await accounts.insertAccount(tx, scope, account);
      // Of two accounts that show one key at once, one has it.
      if (externalKey && !(await accounts.bindKey(tx, scope, externalKey.id, account.id, clock.nowMs())))
        throw bindingRefused();
      await auditLogs.record(tx, actorIn(call), accountEntry(call.target.role, 'opened', account));
    });
  }

  async function open(
    call: AcmeCall,
    request: SignedRequest,
    payload: JsonObject,
    contacts: readonly string[],
  ): Promise<Account> {
    const externalKey = await externalKeyOf(call, request, payload);
    if (!externalKey) await admitStranger(call);
    const account: Account = {
      id: ids.uuid(),
      rootId: call.target.root.id,
      roleId: call.target.role.id,
      status: 'valid',
      jwk: request.key.jwk,
      thumbprint: request.key.thumbprint,
      contacts,
      termsAgreed: payload.termsOfServiceAgreed === true,
      externalBinding: externalKey && payload.externalAccountBinding,
      createdAtMs: clock.nowMs(),
    };
    await insert(call, account, externalKey);
    return account;
  }

  return {
    async create(call, request) {
      const payload = payloadOf(request);
      const known = await find(call, request);
      if (known) return { account: known, isNew: false };
      if (payload.onlyReturnExisting === true)
        throw new AcmeProblem('accountDoesNotExist', 'No account of this directory has this key');
      const contacts = payload.contact === undefined ? [] : readContacts(payload.contact);
      try {
        const account = await ofNetwork(newAccounts, call, () => open(call, request, payload, contacts));
        return { account, isNew: true };
      } catch (error) {
        // The same client, which has asked twice at once.
        const other = error instanceof UniqueViolation ? await find(call, request) : undefined;
        if (other) return { account: other, isNew: false };
        throw error;
      }
    },

    async update(call, request, id) {
      const { scope } = call.target;
      const { account } = request;
      if (id !== account.id) throw notThere('Account');
      if (request.payload.length === 0) return account;
      // RFC 8555 §7.3.2: other members are not the client's to change, and ignored.
      const { contact, status } = payloadOf(request);
      if (status !== undefined && status !== 'deactivated' && status !== account.status)
        throw malformed('status may be set to deactivated alone');
      const contacts = contact === undefined ? account.contacts : readContacts(contact);
      const isEnding = status === 'deactivated';
      await db.transaction(async (tx) => {
        if (contact !== undefined) await accounts.setContacts(tx, scope, account.id, contacts);
        if (isEnding) await ends.end(tx, actorIn(call), call.target.role, account, 'deactivated');
      });
      return { ...account, contacts, ...(isEnding && { status: 'deactivated' }) };
    },

    async changeKey(call, request) {
      const { target, urls, url } = call;
      const { account } = request;
      const { key, payload } = readInner(request.payload, url, signatures);
      if (payload.account !== urls.account(account.id))
        throw malformed('The inner JWS: account must be the URL of the account');
      if (verifyingKey(payload.oldKey, 'The inner JWS, oldKey').thumbprint !== account.thumbprint)
        throw malformed('The inner JWS: oldKey must be the present key of the account');
      try {
        const replace = async (tx: Transaction) => {
          if (!(await accounts.replaceKey(tx, target.scope, account, key)))
            throw malformed('The account has another key by now');
          const entry = accountEntry(target.role, 'key_changed', { ...account, ...key });
          await auditLogs.record(tx, actorIn(call), entry);
        };
        await ofNetwork(keyChanges, call, () => db.transaction(replace));
      } catch (error) {
        if (!(error instanceof UniqueViolation)) throw error;
        const other = await accounts.findByKey(target.scope, target.role.id, key.thumbprint);
        throw new AcmeProblem('malformed', 'Another account has the new key', {
          status: 409,
          headers: other ? { location: urls.account(other.id) } : {},
        });
      }
      return { ...account, ...key };
    },
  };
}
