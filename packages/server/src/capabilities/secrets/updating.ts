import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { type SecretTerms, secretUpdateEntry, type WrittenValue } from './audit.js';
import { hostsOfCertificate, notOfType, valueIsDue } from './errors.js';
import { isWider } from './hosts.js';
import { changedMeanwhile } from './oauth2/errors.js';
import type { OAuth2Change, OAuth2Secrets } from './oauth2/service.js';
import type { SecretStore } from './store.js';
import type { StoredSecret } from './types.js';
import type { SecretValueStore } from './value-store.js';
import type { SealedValue, SecretValues } from './values.js';
import type { SecretWriting } from './writing.js';

export interface SecretChanges {
  readonly terms: Partial<SecretTerms>;
  /** Of the base environment. */
  readonly value?: Secret<string>;
  /** By environment. */
  readonly values?: ReadonlyMap<string, Secret<string>>;
  /** Of what tokens of an `oauth2` secret are asked for with. */
  readonly oauth2?: OAuth2Change;
}

export interface SecretUpdateDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly store: SecretStore;
  readonly valueStore: SecretValueStore;
  readonly values: SecretValues;
  readonly writing: SecretWriting;
  readonly oauth2: Pick<OAuth2Secrets, 'prepareChange'>;
  find(scope: Scope, id: string, tx?: Transaction): Promise<StoredSecret>;
}

/** A value that is sealed before the transaction begins. */
interface DueValue {
  /** Null: the base, whatever it is called by then. */
  readonly environment: string | null;
  readonly field: string;
  readonly sealed: SealedValue;
}

export function createSecretUpdate(deps: SecretUpdateDeps) {
  const { db, clock, auditLogs, store, valueStore, values, writing, oauth2, find } = deps;

  async function sealAll(scope: Scope, { value, values: some }: SecretChanges): Promise<DueValue[]> {
    const due: DueValue[] = [];
    if (value) due.push({ environment: null, field: 'value', sealed: await values.seal(scope, value) });
    for (const [environment, text] of some ?? [])
      due.push({ environment, field: `values.${environment}`, sealed: await values.seal(scope, text) });
    return due;
  }

  /** Whoever lets stored values go to further hosts knows every one of them (contract README §10). */
  async function requireValuesAgain(
    before: StoredSecret,
    changes: SecretChanges,
    tx?: Transaction,
  ): Promise<void> {
    if (before.type === 'oauth2' || !letsFurther(before, changes)) return;
    const { value, values: some } = changes;
    const sent = new Set([...(some?.keys() ?? []), ...(value ? [before.baseEnvironment] : [])]);
    const heads = await valueStore.heads(before.scope, before.id, tx);
    const missing = heads.map(({ environment }) => environment).filter((name) => !sent.has(name));
    if (missing.length === 0) return;
    if (heads.length === 1) throw valueIsDue('value', 'is required with allowed_hosts');
    const names = missing.join(', ');
    throw valueIsDue('values', `must hold the value of every environment that has one: ${names} too`);
  }

  async function oauth2Change(caller: Caller, known: StoredSecret, changes: SecretChanges) {
    const isLetFurther = known.type === 'oauth2' && letsFurther(known, changes);
    if (!changes.oauth2 && !isLetFurther) return null;
    return oauth2.prepareChange(caller, known, { ...changes.oauth2, isWider: isLetFurther });
  }

  async function writeAll(
    tx: Transaction,
    secret: StoredSecret,
    due: readonly DueValue[],
  ): Promise<WrittenValue[]> {
    const written: WrittenValue[] = [];
    for (const { environment, field, sealed } of due)
      written.push(await writing.write(tx, secret, environment ?? secret.baseEnvironment, sealed, { field }));
    return written.map(({ environment, version }) => ({ environment, version }));
  }

  return async (caller: Caller, id: string, changes: SecretChanges): Promise<StoredSecret> => {
    const { scope } = caller.principal;
    const known = await find(scope, id);
    requireFitting(known, changes);
    await requireValuesAgain(known, changes);
    const ofOAuth2 = await oauth2Change(caller, known, changes);
    const due = await sealAll(scope, changes);
    return db.transaction(async (tx) => {
      const before = await find(scope, id, tx);
      await requireValuesAgain(before, changes, tx);
      if (before.type === 'oauth2' && letsFurther(before, changes) !== letsFurther(known, changes))
        throw changedMeanwhile();
      await ofOAuth2?.write(tx);
      const after: StoredSecret = { ...before, ...changes.terms, updatedAtMs: clock.nowMs() };
      await store.update(tx, after);
      await valueStore.touch(tx, scope, after.id, after.updatedAtMs);
      const written = await writeAll(tx, after, due);
      const sent = Object.keys(changes.terms) as (keyof SecretTerms)[];
      await auditLogs.record(tx, actorOf(caller), secretUpdateEntry(before, after, sent, written));
      await recordAnswer(tx, caller, after);
      return after;
    });
  };
}

function letsFurther(before: StoredSecret, { terms: { allowedHosts } }: SecretChanges): boolean {
  return allowedHosts !== undefined && isWider(before.allowedHosts, allowedHosts);
}

function requireFitting({ type }: StoredSecret, { terms, value, values, oauth2 }: SecretChanges): void {
  if (oauth2 && type !== 'oauth2') throw notOfType(fieldOf(oauth2), type);
  if (value && values) throw validationError('values', 'must not stand beside value');
  if (type !== 'string' && (value || values)) throw notOfType(value ? 'value' : 'values', type);
  if (type === 'certificate' && terms.allowedHosts) throw hostsOfCertificate();
}

function fieldOf({ tokenUrl, clientSecret }: OAuth2Change): string {
  if (tokenUrl !== undefined) return 'token_url';
  return clientSecret ? 'client_secret' : 'password';
}
