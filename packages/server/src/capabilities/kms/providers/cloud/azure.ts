import { readFile } from 'node:fs/promises';
import {
  ConfidentialClientApplication,
  type INetworkModule,
  ManagedIdentityApplication,
  type NetworkRequestOptions,
  type NetworkResponse,
} from '@azure/msal-node';
import { equalInConstantTime, sha256 } from '../../../../platform/crypto/hashing.js';
import { callMachine } from '../../../../platform/egress/machine-calls.js';
import type { AzureKey } from '../../cloud-key.js';
import { bindingOf } from '../binding.js';
import { codeText, KmsFailure, type KmsStage, SECRET_NOT_SET } from '../types.js';
import { KMS_CALL_MS } from './attempts.js';
import { type Cloud, type CloudClient, type CloudDeps, type Door, hostOf } from './cloud.js';

const API_VERSION = '7.4';
const ALGORITHM = 'RSA-OAEP-256';
/** First byte of what is wrapped: `1 ‖ SHA-256(binding) ‖ key`; a 2048-bit key takes 190 bytes. */
const SEALED_VERSION = 1;
const BINDING_BYTES = 32;
const METADATA_BYTES_MAX = 64 * 1024;

/** By the end of the vault's host: whom tokens are for, and who gives them. */
const SURROUNDINGS = [
  ['.vault.azure.net', 'https://vault.azure.net', 'https://login.microsoftonline.com'],
  ['.managedhsm.azure.net', 'https://managedhsm.azure.net', 'https://login.microsoftonline.com'],
  ['.vault.azure.cn', 'https://vault.azure.cn', 'https://login.chinacloudapi.cn'],
  ['.vault.usgovcloudapi.net', 'https://vault.usgovcloudapi.net', 'https://login.microsoftonline.us'],
] as const;

/** Azure Key Vault by an application's secret or the server's own identity (kms-admin.md §2). */
export function createAzure(deps: CloudDeps): Cloud<AzureKey> {
  const { endpoints, door, secretOf, azureWorkload } = deps;

  async function managedToken(resource: string): Promise<string> {
    const { clientId } = azureWorkload;
    const network = new Network(toMachine);
    const identity = new ManagedIdentityApplication({
      system: { disableInternalRetries: true, networkClient: network },
      ...(clientId === null ? {} : { managedIdentityIdParams: { userAssignedClientId: clientId } }),
    });
    try {
      // The library keeps tokens for the whole process, longer than the grant may last.
      return given(await identity.acquireToken({ resource, forceRefresh: true }));
    } catch (error) {
      throw network.failure ?? error;
    }
  }

  async function applicationToken(
    login: { readonly authority: string; readonly tenantId: string; readonly resource: string },
    application: { readonly clientId: string; readonly clientSecret: string } | WorkloadApplication,
  ): Promise<string> {
    const { authority, tenantId, resource } = login;
    const network = new Network(door([hostOf(authority)], 'identity'));
    try {
      // Made anew each time, so that it keeps no token: one that is kept would outlive the grant.
      const client = new ConfidentialClientApplication({
        auth: {
          ...application,
          authority: `${authority}/${tenantId}`,
          knownAuthorities: [new URL(authority).host],
        },
        system: { networkClient: network },
      });
      const answer = await client.acquireTokenByClientCredential({ scopes: [`${resource}/.default`] });
      return given(answer);
    } catch (error) {
      throw network.failure ?? error;
    }
  }

  async function ownToken(authority: string, resource: string): Promise<string> {
    const { clientId, tenantId, tokenFile } = azureWorkload;
    if (tokenFile === null) return managedToken(resource);
    if (clientId === null || tenantId === null) {
      throw new KmsFailure('access_denied', 'identity', 'workload_variables_missing');
    }
    return applicationToken(
      { authority, tenantId, resource },
      { clientId, clientAssertion: () => assertionOf(tokenFile) },
    );
  }

  async function tokenFor({ keyRef, config: { application } }: AzureKey): Promise<string> {
    const host = hostOf(keyRef);
    const [, resource, publicAuthority] = SURROUNDINGS.find(([end]) => host.endsWith(end)) ?? SURROUNDINGS[0];
    const authority = endpoints.azureAuthority ?? publicAuthority;
    try {
      if (application === null) return await ownToken(authority, resource);
      const { azureTenantId: tenantId, clientId, secretVariable } = application;
      const secret = secretOf(secretVariable);
      if (secret === undefined) throw new KmsFailure('access_denied', 'identity', SECRET_NOT_SET);
      return await applicationToken(
        { authority, tenantId, resource },
        { clientId, clientSecret: secret.reveal() },
      );
    } catch (error) {
      throw identityFailure(error);
    }
  }

  function open(key: AzureKey): CloudClient {
    const vault = endpoints.azureVault ?? new URL(key.keyRef).origin;
    const toVault = door([hostOf(vault)], 'key');

    async function act(verb: 'wrapkey' | 'unwrapkey', keyName: string, value: Buffer) {
      const token = await tokenFor(key);
      const answer = await toVault({
        method: 'POST',
        url: `${vault}${versionPath(keyName)}/${verb}?api-version=${API_VERSION}`,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json',
        },
        body: JSON.stringify({ alg: ALGORITHM, value: value.toString('base64url') }),
      });
      const body = objectOf(answer.body);
      if (answer.status !== 200) throw vaultFailure(answer.status, body, verb);
      const { kid, value: result } = body;
      if (typeof kid !== 'string' || typeof result !== 'string' || result === '') {
        throw new KmsFailure('unreachable', 'key', 'no_value_answered');
      }
      return { kid, value: Buffer.from(result, 'base64url') };
    }

    return {
      async encrypt(plaintext, context) {
        const sealed = Buffer.concat([Buffer.of(SEALED_VERSION), sha256(bindingOf(context)), plaintext]);
        try {
          const { kid, value } = await act('wrapkey', key.keyRef, sealed);
          // The version is not in the ciphertext: without its name a rotation at the vault would strand it.
          if (!isNameOf(key, kid)) throw new KmsFailure('unreachable', 'key', 'other_key_answered');
          return { keyName: kid, ciphertext: value };
        } finally {
          sealed.fill(0);
        }
      },

      async decrypt({ keyName, ciphertext }, context) {
        const { value: sealed } = await act('unwrapkey', keyName, ciphertext);
        try {
          const binding = sealed.subarray(1, 1 + BINDING_BYTES);
          const isOurs =
            sealed[0] === SEALED_VERSION && equalInConstantTime(binding, sha256(bindingOf(context)));
          if (!isOurs) throw new KmsFailure('bad_ciphertext', 'key', 'other_binding');
          return Buffer.from(sealed.subarray(1 + BINDING_BYTES));
        } finally {
          sealed.fill(0);
        }
      },

      isNameOfKey: (keyName) => isNameOf(key, keyName),
    };
  }

  /** The object id of the server's own identity: what a role is assigned to. */
  async function ownIdentity(): Promise<string | null> {
    const [, resource, publicAuthority] = SURROUNDINGS[0];
    try {
      const token = await ownToken(endpoints.azureAuthority ?? publicAuthority, resource);
      const claims = objectOf(Buffer.from(token.split('.')[1] ?? '', 'base64url'));
      return typeof claims['oid'] === 'string' ? claims['oid'] : null;
    } catch (error) {
      throw identityFailure(error);
    }
  }

  return {
    open,
    ownIdentity,
    failureOf: (error) =>
      error instanceof KmsFailure ? error : new KmsFailure('unreachable', 'key', 'unknown'),
  };
}

/** Who is sure of itself by a token that somebody else signs, read at each use: it is changed every hour. */
interface WorkloadApplication {
  readonly clientId: string;
  clientAssertion(): Promise<string>;
}

async function assertionOf(tokenFile: string): Promise<string> {
  try {
    return (await readFile(tokenFile, 'utf8')).trim();
  } catch (error) {
    throw new KmsFailure(
      'access_denied',
      'identity',
      codeText((error as { code?: unknown }).code, 'no_token_file'),
    );
  }
}

/** The place of a version is left empty where none is named, as Microsoft's own clients do. */
function versionPath(keyName: string): string {
  const [, keys, name, version = ''] = new URL(keyName).pathname.split('/');
  return `/${keys}/${name}/${version}`;
}

/** The key in one of its versions; host names and key names have no case. */
function isNameOf({ keyRef }: AzureKey, name: string): boolean {
  const [key, text] = [keyRef.toLowerCase(), name.toLowerCase()];
  if (text === key) return true;
  return text.startsWith(`${key}/`) && /^[0-9a-f]{32}$/.test(text.slice(key.length + 1));
}

/** What the library sends its requests by; it remembers what went wrong, which the library words anew. */
class Network implements INetworkModule {
  failure: KmsFailure | null = null;

  constructor(private readonly door: Door) {}

  sendGetRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#send('GET', url, options);
  }

  sendPostRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#send('POST', url, options);
  }

  async #send<T>(
    method: string,
    url: string,
    options: NetworkRequestOptions = {},
  ): Promise<NetworkResponse<T>> {
    try {
      const { status, headers, body } = await this.door({
        method,
        url,
        headers: options.headers ?? {},
        body: options.body ?? null,
      });
      if (status === 429) throw new KmsFailure('throttled', 'identity', 'http_429');
      // 410: the metadata service of a machine is being renewed. Nobody is followed to another place.
      if (status >= 500 || status === 410 || (status >= 300 && status < 400))
        throw new KmsFailure('unreachable', 'identity', `http_${status}`);
      return { status, headers: { ...headers }, body: objectOf(body) as T };
    } catch (error) {
      if (error instanceof KmsFailure) this.failure = error;
      throw error;
    }
  }
}

const toMachine: Door = async (request) => {
  try {
    return await callMachine(request, { timeoutMs: KMS_CALL_MS, answerBytesMax: METADATA_BYTES_MAX });
  } catch {
    throw new KmsFailure('unreachable', 'identity', 'no_metadata_service');
  }
};

function given(answer: { readonly accessToken?: string } | null): string {
  if (!answer?.accessToken) throw new KmsFailure('unreachable', 'identity', 'no_token_answered');
  return answer.accessToken;
}

function identityFailure(error: unknown): KmsFailure {
  if (error instanceof KmsFailure) return error;
  const { errorCode } = error as { errorCode?: unknown };
  const code = codeText(errorCode, 'no_own_credentials');
  const isNetwork = code === 'network_error' || code === 'endpoints_resolution_error';
  return new KmsFailure(isNetwork ? 'unreachable' : 'access_denied', 'identity', code);
}

function vaultFailure(
  status: number,
  body: Readonly<Record<string, unknown>>,
  verb: 'wrapkey' | 'unwrapkey',
): KmsFailure {
  const stage: KmsStage = 'key';
  const error = (body['error'] ?? {}) as { code?: unknown; innererror?: { code?: unknown } };
  const code = codeText(error.innererror?.code, codeText(error.code, `http_${status}`));
  if (status === 429) return new KmsFailure('throttled', stage, code);
  if (status >= 500 || status < 400) return new KmsFailure('unreachable', stage, code);
  if (status === 404 || UNUSABLE.has(code)) return new KmsFailure('key_unusable', stage, code);
  if (status === 401 || status === 403) return new KmsFailure('access_denied', stage, code);
  if (status === 400 && verb === 'unwrapkey') return new KmsFailure('bad_ciphertext', stage, code);
  return new KmsFailure('key_unusable', stage, code);
}

const UNUSABLE: ReadonlySet<string> = new Set([
  'KeyDisabled',
  'KeyExpired',
  'KeyNotYetValid',
  'KeyNotActive',
]);

function objectOf(body: Buffer): Record<string, unknown> {
  try {
    const value = JSON.parse(body.toString('utf8')) as unknown;
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
