import { modeOf, type Scope } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import type { EnvelopeColumn, EnvelopePlace, TenantKeys } from '../kms/index.js';
import { AUTH, HEADERS, SECRET } from './envelope-columns.js';
import type { SealedParts } from './store.js';

/** Of `basic`, `bearer` and `header`, as they were sent. */
export type AuthConfig =
  | { readonly username: string; readonly password: string }
  | { readonly token: string }
  | { readonly name: string; readonly value: string };

export type RequestHeaders = Readonly<Record<string, string>>;

/** Undefined = left as it is, null = none. */
export interface PartsToSeal {
  readonly auth?: Secret<AuthConfig> | null;
  readonly headers?: Secret<RequestHeaders> | null;
  readonly secret?: Secret<string>;
}

export interface OpenedParts {
  readonly auth: Secret<AuthConfig> | null;
  readonly headers: Secret<RequestHeaders> | null;
  readonly secret: Secret<string>;
}

/** What a webhook holds that nobody may read. Both may call a KMS, so never inside a transaction. */
export interface WebhookParts {
  seal(scope: Scope, id: string, parts: PartsToSeal): Promise<Partial<SealedParts>>;
  open(scope: Scope, id: string, sealed: SealedParts): Promise<OpenedParts>;
}

export function createWebhookParts(tenantKeys: Pick<TenantKeys, 'seal' | 'open'>): WebhookParts {
  async function sealText(column: EnvelopeColumn, scope: Scope, id: string, text: string): Promise<Buffer> {
    const plain = Buffer.from(text, 'utf8');
    try {
      return await tenantKeys.seal(placeOf(column, scope, id), plain);
    } finally {
      plain.fill(0);
    }
  }

  async function sealJson(column: EnvelopeColumn, scope: Scope, id: string, value: Secret<unknown> | null) {
    return value === null ? null : sealText(column, scope, id, JSON.stringify(value.reveal()));
  }

  async function openText(column: EnvelopeColumn, scope: Scope, id: string, envelope: Buffer) {
    const plain = await tenantKeys.open(placeOf(column, scope, id), envelope);
    const text = plain.toString('utf8');
    plain.fill(0);
    return text;
  }

  async function openJson<T>(column: EnvelopeColumn, scope: Scope, id: string, envelope: Buffer | null) {
    if (envelope === null) return null;
    return new Secret(JSON.parse(await openText(column, scope, id, envelope)) as T);
  }

  return {
    async seal(scope, id, { auth, headers, secret }) {
      return {
        ...(auth !== undefined && { auth: await sealJson(AUTH, scope, id, auth) }),
        ...(headers !== undefined && { headers: await sealJson(HEADERS, scope, id, headers) }),
        ...(secret !== undefined && { secret: await sealText(SECRET, scope, id, secret.reveal()) }),
      };
    },

    async open(scope, id, sealed) {
      return {
        auth: await openJson<AuthConfig>(AUTH, scope, id, sealed.auth),
        headers: await openJson<RequestHeaders>(HEADERS, scope, id, sealed.headers),
        secret: new Secret(await openText(SECRET, scope, id, sealed.secret)),
      };
    },
  };
}

function placeOf({ table, column }: EnvelopeColumn, scope: Scope, rowId: string): EnvelopePlace {
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
