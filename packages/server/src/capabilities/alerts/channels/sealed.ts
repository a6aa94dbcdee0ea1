import { modeOf, type Scope } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import type { EnvelopePlace, TenantKeys } from '../../kms/index.js';
import { CREDENTIALS } from '../envelope-columns.js';
import type { Credentials } from './channel.js';

/** Both may call a KMS, so never inside a transaction. */
export interface SealedCredentials {
  /** Null where there are none. */
  seal(scope: Scope, alertId: string, credentials: Credentials): Promise<Buffer | null>;
  open(scope: Scope, alertId: string, envelope: Buffer | null): Promise<Secret<Credentials>>;
}

export function createSealedCredentials(tenantKeys: Pick<TenantKeys, 'seal' | 'open'>): SealedCredentials {
  return {
    async seal(scope, alertId, credentials) {
      if (Object.keys(credentials).length === 0) return null;
      const plain = Buffer.from(JSON.stringify(credentials), 'utf8');
      try {
        return await tenantKeys.seal(placeOf(scope, alertId), plain);
      } finally {
        plain.fill(0);
      }
    },

    async open(scope, alertId, envelope) {
      if (envelope === null) return new Secret<Credentials>({});
      const plain = await tenantKeys.open(placeOf(scope, alertId), envelope);
      const credentials = JSON.parse(plain.toString('utf8')) as Credentials;
      plain.fill(0);
      return new Secret(credentials);
    },
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = CREDENTIALS;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
