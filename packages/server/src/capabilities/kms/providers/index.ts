import type { Clock } from '../../../kernel/clock.js';
import { AppError } from '../../../kernel/errors.js';
import type { Secret } from '../../../kernel/secret.js';
import { KEY_BYTES } from '../../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Egress } from '../../../platform/egress/egress.js';
import { createHostList } from '../../../platform/egress/name-policy.js';
import { createSmallCalls } from '../../../platform/egress/small-calls.js';
import type { CloudKey, CloudName } from '../cloud-key.js';
import { probeBothWays } from './binding.js';
import { type AttemptsDeps, KMS_CALL_MS, withAttempts } from './cloud/attempts.js';
import type { AzureWorkload, Cloud, CloudClient, CloudDeps, CloudEndpoints, Door } from './cloud/cloud.js';
import { packWrapped, unpackWrapped } from './cloud/wrapped-bytes.js';
import { codeText, KmsFailure, type KmsFailureReason, type KmsProvider } from './types.js';

export type { AzureWorkload, CloudEndpoints } from './cloud/cloud.js';

/** What the operator says that this server is; null = found out. */
export interface CloudIdentities {
  readonly aws: string | null;
  readonly gcp: string | null;
}

/** The policy key of the egress guard for calls to a KMS. No tenant's: a slug holds no star. */
export const KMS_POLICY_KEY = '*kms';

const ANSWER_BYTES_MAX = 256 * 1024;
/** Clients kept; one more drops them all, and they are made again when they are used. */
const CLIENTS_MAX = 10_000;

export interface CloudsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly endpoints: CloudEndpoints;
  readonly azureWorkload: AzureWorkload;
  /** KNOX_KMS_AWS_ACCOUNT_ID and its like. */
  readonly identities: CloudIdentities;
  secretOf(variable: string): Secret<string> | undefined;
  /** After each attempt, what is asked about the identity included. */
  onCall(call: KmsCall): void;
}

export interface KmsCall {
  readonly provider: CloudName;
  readonly op: 'wrap' | 'unwrap' | 'identity';
  readonly result: 'ok' | KmsFailureReason;
  readonly seconds: number;
}

export interface Clouds {
  readonly providerOf: CloudProviders;
  /**
   * What a tenant names in its grant: the account of AWS, the e-mail at Google, the object id of Azure's managed
   * identity. The operator's variable, else what the cloud says; null where it does not or nobody answers.
   */
  ownIdentity(cloud: CloudName): Promise<string | null>;
  /**
   * Whether AWS gives the key's role to who does not tell the external id, so that anybody could name it here. False
   * for other clouds. Throws `KmsFailure` where it is not to be found out.
   */
  mayAssumeWithoutExternalId(key: CloudKey): Promise<boolean>;
}

/** The keys of tenants and of the operator, behind the interface that the root key has. */
export type CloudProviders = (key: CloudKey, wrapMethod: 'operator_kms' | 'customer_kms') => KmsProvider;

type AnyCloud = Cloud<CloudKey>;

/** Each is loaded when the first key of its cloud is used; a cloud without an entry does not compile. */
const CLOUDS: Record<CloudName, (deps: CloudDeps) => Promise<AnyCloud>> = {
  aws: async (deps) => (await import('./cloud/aws.js')).createAws(deps) as AnyCloud,
  gcp: async (deps) => (await import('./cloud/gcp.js')).createGcp(deps) as AnyCloud,
  azure: async (deps) => (await import('./cloud/azure.js')).createAzure(deps) as AnyCloud,
};

export function createClouds(deps: CloudsDeps): Clouds {
  const { clock, random } = deps;
  const call = createSmallCalls({
    clock,
    egress: deps.egress,
    timeoutMs: KMS_CALL_MS,
    answerBytesMax: ANSWER_BYTES_MAX,
  });
  const cloudDeps: CloudDeps = {
    endpoints: deps.endpoints,
    azureWorkload: deps.azureWorkload,
    secretOf: deps.secretOf,
    door: (hosts, stage): Door => {
      const policy = { tenantSlug: KMS_POLICY_KEY, allowedHosts: createHostList(hosts) };
      return async (request) => {
        try {
          return await call(request, policy);
        } catch (error) {
          // Its text may name addresses; its type says whether the name, the address or the connection failed.
          const type = error instanceof AppError ? error.type : 'no_answer';
          throw new KmsFailure('unreachable', stage, codeText(type, 'no_answer'));
        }
      };
    },
  };
  const clouds = new Map<CloudName, Promise<AnyCloud>>();
  const clients = new Map<string, Promise<CloudClient>>();

  function cloudOf(name: CloudName): Promise<AnyCloud> {
    const cloud = clouds.get(name) ?? CLOUDS[name](cloudDeps);
    clouds.set(name, cloud);
    return cloud;
  }

  function clientOf(key: CloudKey): Promise<CloudClient> {
    const name = JSON.stringify(key);
    const known = clients.get(name);
    if (known) return known;
    if (clients.size >= CLIENTS_MAX) clients.clear();
    const client = cloudOf(key.provider).then((cloud) => cloud.open(key));
    clients.set(name, client);
    return client;
  }

  async function tried<T>(
    provider: CloudName,
    op: KmsCall['op'],
    act: (cloud: AnyCloud) => Promise<T>,
  ): Promise<T> {
    const cloud = await cloudOf(provider);
    const onAttempt: AttemptsDeps['onAttempt'] = (result, milliseconds) =>
      deps.onCall({ provider, op, result, seconds: milliseconds / 1000 });
    return withAttempts({ clock, random, onAttempt }, () => act(cloud), cloud.failureOf);
  }

  async function ownIdentity(name: CloudName): Promise<string | null> {
    const written = name === 'azure' ? null : deps.identities[name];
    if (written !== null) return written;
    try {
      return await tried(name, 'identity', (cloud) => cloud.ownIdentity());
    } catch (error) {
      if (error instanceof KmsFailure) return null;
      throw error;
    }
  }

  const mayAssumeWithoutExternalId: Clouds['mayAssumeWithoutExternalId'] = (key) =>
    tried(
      key.provider,
      'identity',
      async (cloud) => (await cloud.mayAssumeWithoutExternalId?.(key)) ?? false,
    );

  const providerOf: CloudProviders = (key, wrapMethod) => {
    const wrap: KmsProvider['wrap'] = async (dek, context) => {
      const client = await clientOf(key);
      return packWrapped(await tried(key.provider, 'wrap', () => client.encrypt(dek, context)));
    };
    const unwrap: KmsProvider['unwrap'] = async (wrapped, context) => {
      const encrypted = unpackWrapped(wrapped);
      const client = await clientOf(key);
      if (!client.isNameOfKey(encrypted.keyName)) {
        throw new KmsFailure('bad_ciphertext', 'key', 'name_of_another_key');
      }
      const dek = await tried(key.provider, 'unwrap', () => client.decrypt(encrypted, context));
      if (dek.length === KEY_BYTES) return dek;
      dek.fill(0);
      throw new KmsFailure('bad_ciphertext', 'key', 'wrong_length');
    };
    return {
      describe: () => ({ wrapMethod, keyReference: key.keyRef }),
      wrap,
      unwrap,
      probe: () => probeBothWays({ wrap, unwrap }, random),
    };
  };

  return { providerOf, ownIdentity, mayAssumeWithoutExternalId };
}
