import { permissionMissing } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Environments } from '../environments/index.js';
import { secretReadEntry } from './audit.js';
import { bundlePem } from './certificates/bundle.js';
import { notOfType, secretNotFound, unknownEnvironment } from './errors.js';
import type { StoredSecret } from './types.js';
import type { SecretValueStore, ValueHead } from './value-store.js';
import type { SecretValues } from './values.js';

/** What the dashboard shows: the value that holds in an environment, and whose it is. */
export interface ShownValue extends ValueHead {
  readonly secret: StoredSecret;
  /** That was asked about; `environment` is where the value comes from. */
  readonly asked: string;
  readonly value: Secret<string>;
}

export interface SecretReading {
  /** Its audit row is durable before the value is told. Null: the base environment. */
  readValue(caller: Caller, id: string, environment: string | null): Promise<ShownValue>;
}

export interface SecretReadingDeps {
  readonly db: Pick<Database, 'commitInserts'>;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
  readonly environments: Pick<Environments, 'find'>;
  readonly valueStore: SecretValueStore;
  readonly values: SecretValues;
  find(scope: Scope, id: string): Promise<StoredSecret>;
}

const PERMISSION = 'secrets:read_value';

export function createSecretReading(deps: SecretReadingDeps): SecretReading {
  const { db, auditLogs, environments, valueStore, values, find } = deps;

  return {
    async readValue(caller, id, environment) {
      const { scope } = caller.principal;
      const known = await find(scope, id);
      if (!caller.principal.may(PERMISSION, known.name)) throw permissionMissing(PERMISSION);
      if (environment !== null && !(await environments.find(scope, environment)))
        throw unknownEnvironment('environment', environment);
      const found = await valueStore.inUse(scope, { by: 'id', text: known.id }, environment);
      // It was deleted while this call lasted.
      if (!found) throw secretNotFound();
      const { secret, value: stored } = found;
      if (secret.type === 'oauth2' || stored === null) throw notOfType('id', secret.type);
      const text = await values.open(scope, stored);
      await db.commitInserts([auditLogs.insertion(actorOf(caller), secretReadEntry(secret, stored))]);
      const value = secret.type === 'certificate' ? bundlePem(text) : text;
      return { ...stored, secret, asked: environment ?? secret.baseEnvironment, value };
    },
  };
}
