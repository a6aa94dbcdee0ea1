import type { Clock } from '../../../kernel/clock.js';
import { AppError } from '../../../kernel/errors.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Egress } from '../../../platform/egress/egress.js';
import { createHostList } from '../../../platform/egress/name-policy.js';
import { createSmallCalls } from '../../../platform/egress/small-calls.js';
import type { CloudKey, CloudName } from '../cloud-key.js';
import { probeBothWays } from './binding.js';
import { KMS_CALL_MS, withAttempts } from './cloud/attempts.js';
import type { Cloud, CloudClient, CloudDeps, CloudEndpoints, Door } from './cloud/cloud.js';
import { packWrapped, unpackWrapped } from './cloud/wrapped-bytes.js';
import { codeText, KmsFailure, type KmsProvider } from './types.js';

export type { CloudEndpoints } from './cloud/cloud.js';

/** The policy key of the egress guard for calls to a KMS. No tenant's: a slug holds no star. */
export const KMS_POLICY_KEY = '*kms';

const ANSWER_BYTES_MAX = 256 * 1024;
/** Clients kept; one more drops them all, and they are made again when they are used. */
const CLIENTS_MAX = 10_000;

export interface CloudProvidersDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly endpoints: CloudEndpoints;
  secretOf(variable: string): Secret<string> | undefined;
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

export function createCloudProviders(deps: CloudProvidersDeps): CloudProviders {
  const { clock, random } = deps;
  const call = createSmallCalls({
    clock,
    egress: deps.egress,
    timeoutMs: KMS_CALL_MS,
    answerBytesMax: ANSWER_BYTES_MAX,
  });
  const cloudDeps: CloudDeps = {
    endpoints: deps.endpoints,
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

  return (key, wrapMethod) => {
    const wrap: KmsProvider['wrap'] = async (dek, context) => {
      const client = await clientOf(key);
      return packWrapped(
        await withAttempts({ clock, random }, () => client.encrypt(dek, context), client.failureOf),
      );
    };
    const unwrap: KmsProvider['unwrap'] = async (wrapped, context) => {
      const encrypted = unpackWrapped(wrapped);
      const client = await clientOf(key);
      if (!client.isNameOfKey(encrypted.keyName)) {
        throw new KmsFailure('bad_ciphertext', 'key', 'name_of_another_key');
      }
      return withAttempts({ clock, random }, () => client.decrypt(encrypted, context), client.failureOf);
    };
    return {
      describe: () => ({ wrapMethod, keyReference: key.keyRef }),
      wrap,
      unwrap,
      probe: () => probeBothWays({ wrap, unwrap }, random),
    };
  };
}
