import type { IdSource, Scope } from '../../kernel/ids.js';
import { modeOf } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import type { EnvelopePlace, TenantKeys } from '../kms/index.js';
import { VALUE_ENVELOPE } from './envelope-columns.js';

/** Sealed for a row that is still to be written: each write has an id of its own, so that no older row opens it. */
export interface SealedValue {
  readonly id: string;
  readonly envelope: Buffer;
}

export interface SecretValues {
  /** May call a KMS: never inside a transaction. */
  seal(scope: Scope, text: Secret<string>): Promise<SealedValue>;
  open(scope: Scope, value: SealedValue): Promise<Secret<string>>;
}

export interface SecretValuesDeps {
  readonly ids: IdSource;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
}

export function createSecretValues({ ids, tenantKeys }: SecretValuesDeps): SecretValues {
  return {
    async seal(scope, text) {
      const id = ids.uuid();
      const plaintext = Buffer.from(text.reveal(), 'utf8');
      try {
        return { id, envelope: await tenantKeys.seal(placeOf(scope, id), plaintext) };
      } finally {
        plaintext.fill(0);
      }
    },

    async open(scope, { id, envelope }) {
      const plaintext = await tenantKeys.open(placeOf(scope, id), envelope);
      try {
        return new Secret(plaintext.toString('utf8'));
      } finally {
        plaintext.fill(0);
      }
    },
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = VALUE_ENVELOPE;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
