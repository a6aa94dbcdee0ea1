import type { Secret } from '../../../../kernel/secret.js';
import type { SmallAnswer, SmallRequest } from '../../../../platform/egress/small-calls.js';
import type { CloudKey } from '../../cloud-key.js';
import type { KmsFailure, KmsStage, WrapContext } from '../types.js';

/** What a KMS made of a key, and under which of its names it takes it back. */
export interface Encrypted {
  readonly keyName: string;
  readonly ciphertext: Buffer;
}

/** One key, as one cloud's client uses it: each member one attempt. */
export interface CloudClient {
  encrypt(plaintext: Buffer, context: WrapContext): Promise<Encrypted>;
  decrypt(encrypted: Encrypted, context: WrapContext): Promise<Buffer>;
  /** Whether bytes that say they are of this name may be sent to the key: a stored row must not choose the host. */
  isNameOfKey(keyName: string): boolean;
}

export interface Cloud<Key extends CloudKey> {
  open(key: Key): CloudClient;
  /** Who this server is there, as the owner of a key names it in a grant; null where the cloud does not say. */
  ownIdentity(): Promise<string | null>;
  /** Of AWS alone: whether the key's role is given to who does not tell the external id. One attempt. */
  mayAssumeWithoutExternalId?(key: Key): Promise<boolean>;
  failureOf(error: unknown): KmsFailure;
}

/** KNOX_KMS_*: where the services of the clouds are, if not where everybody finds them. The operator's only. */
export interface CloudEndpoints {
  readonly awsKms: string | null;
  readonly awsSts: string | null;
  readonly gcpKms: string | null;
  readonly gcpIam: string | null;
  readonly azureAuthority: string | null;
  readonly azureVault: string | null;
}

/** The variables by which Azure's own tools find a workload's identity; the clients here do not read them. */
export interface AzureWorkload {
  /** AZURE_CLIENT_ID: which of several managed identities, or whose the token is. */
  readonly clientId: string | null;
  /** AZURE_TENANT_ID. */
  readonly tenantId: string | null;
  /** AZURE_FEDERATED_TOKEN_FILE, as Kubernetes mounts it; null = a managed identity. */
  readonly tokenFile: string | null;
}

export type Door = (request: SmallRequest) => Promise<SmallAnswer>;

export interface CloudDeps {
  readonly endpoints: CloudEndpoints;
  readonly azureWorkload: AzureWorkload;
  /** To these hosts and no others; an empty list is every public host, for what the operator's own files name. */
  door(hosts: readonly string[], stage: KmsStage): Door;
  /** A variable KNOX_TENANT_KMS_*. */
  secretOf(variable: string): Secret<string> | undefined;
}

export function hostOf(url: string): string {
  return new URL(url).hostname;
}
