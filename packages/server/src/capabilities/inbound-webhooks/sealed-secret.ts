import { modeOf, type Scope } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import type { EnvelopePlace, TenantKeys } from '../kms/index.js';
import { SECRET } from './envelope-columns.js';

/** Both may call a KMS, so never inside a transaction. */
export interface SealedSecrets {
  seal(scope: Scope, id: string, secret: Secret<string>): Promise<Buffer>;
  open(scope: Scope, id: string, envelope: Buffer): Promise<Secret<Buffer>>;
}

export function createSealedSecrets(tenantKeys: Pick<TenantKeys, 'seal' | 'open'>): SealedSecrets {
  return {
    async seal(scope, id, secret) {
      const plain = Buffer.from(secret.reveal(), 'utf8');
      try {
        return await tenantKeys.seal(placeOf(scope, id), plain);
      } finally {
        plain.fill(0);
      }
    },
    open: async (scope, id, envelope) => new Secret(await tenantKeys.open(placeOf(scope, id), envelope)),
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = SECRET;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
