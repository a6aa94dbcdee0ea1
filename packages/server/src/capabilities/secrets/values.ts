import type { IdSource, Scope } from '../../kernel/ids.js';
import { modeOf } from '../../kernel/ids.js';
import type { Promisable } from '../../kernel/promisable.js';
import { Secret } from '../../kernel/secret.js';
import type { EnvelopePlace, TenantKeys } from '../kms/index.js';
import { VALUE_ENVELOPE } from './envelope-columns.js';
import { createOpenedValues } from './opened-values.js';

/** Sealed for a row that is still to be written: each write has an id of its own, so that no older row opens it. */
export interface SealedValue {
  readonly id: string;
  readonly envelope: Buffer;
}

export interface SecretValues {
  /** May call a KMS: never inside a transaction. */
  seal(scope: Scope, text: Secret<string>): Promise<SealedValue>;
  /** At once what is open already. */
  open(scope: Scope, value: SealedValue): Promisable<Secret<string>>;
  /** Without waiting; undefined where it is not open. */
  opened(scope: Scope, value: SealedValue): Secret<string> | undefined;
}

export interface SecretValuesDeps {
  readonly ids: IdSource;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open' | 'onForget'>;
}

export function createSecretValues({ ids, tenantKeys }: SecretValuesDeps): SecretValues {
  const opened = createOpenedValues(tenantKeys);

  async function openSealed(scope: Scope, { id, envelope }: SealedValue): Promise<Secret<string>> {
    const keep = opened.begin(scope.tenantId);
    const plaintext = await tenantKeys.open(placeOf(scope, id), envelope);
    try {
      const text = new Secret(plaintext.toString('utf8'));
      keep(envelope, text);
      return text;
    } finally {
      plaintext.fill(0);
    }
  }

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

    open: (scope, value) => opened.find(scope.tenantId, value.envelope) ?? openSealed(scope, value),

    opened: (scope, { envelope }) => opened.find(scope.tenantId, envelope),
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = VALUE_ENVELOPE;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
