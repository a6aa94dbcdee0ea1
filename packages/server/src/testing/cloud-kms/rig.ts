import {
  type CloudProviders,
  type Clouds,
  createClouds,
  type KmsCall,
} from '../../capabilities/kms/index.js';
import type { Clock } from '../../kernel/clock.js';
import { Secret } from '../../kernel/secret.js';
import { systemRandom } from '../../platform/crypto/random.js';
import { type EgressRig, startEgressRig } from '../egress-rig.js';
import { FOUND_OUT, NO_WORKLOAD, PUBLIC_ENDPOINTS } from '../kms-settings.js';
import { createTestCa, type TestCa } from '../tls-upstream.js';
import type { CloudService } from './emulator.js';

const BACKOFF_MAX_MS = 1_000;

/** One cloud, and the product's providers, which reach it through the egress guard. */
export interface CloudRig<Emulator extends CloudService> {
  readonly emulator: Emulator;
  readonly clouds: Clouds;
  readonly measured: KmsCall[];
  readonly providers: CloudProviders;
  readonly egressRig: EgressRig;
  /** Waits between attempts, ms. */
  readonly waits: readonly number[];
  readonly clock: Clock;
  close(): Promise<void>;
}

export async function startCloudRig<Emulator extends CloudService>(
  start: (ca: TestCa) => Promise<Emulator>,
  variables: ReadonlyMap<string, string> = new Map(),
): Promise<CloudRig<Emulator>> {
  const ca = await createTestCa();
  const emulator = await start(ca);
  const egressRig = await startEgressRig({
    extraCaPem: ca.caPem,
    allowPrivateUpstreams: '127.0.0.0/8:1024-65535@*kms,emulator.test:1024-65535@*kms',
    records: Object.fromEntries(emulator.hosts.map((host) => [host, ['127.0.0.1']])),
  });
  const waits: number[] = [];
  const clock = withoutBackoff(egressRig.clock, waits);
  const former = setEnvironment(emulator.environment);
  const secrets = 'variables' in emulator ? (emulator.variables as Map<string, string>) : variables;
  const measured: KmsCall[] = [];
  const clouds = createClouds({
    onCall: (call) => measured.push(call),
    clock,
    random: systemRandom,
    egress: egressRig.egress,
    endpoints: { ...PUBLIC_ENDPOINTS, ...emulator.endpoints },
    identities: FOUND_OUT,
    azureWorkload: emulator.azureWorkload ?? NO_WORKLOAD,
    secretOf(variable) {
      const value = secrets.get(variable);
      return value === undefined ? undefined : new Secret(value);
    },
  });
  return {
    emulator,
    egressRig,
    waits,
    clock,
    clouds,
    measured,
    providers: clouds.providerOf,
    async close() {
      setEnvironment(former);
      await egressRig.close();
      await emulator.close();
    },
  };
}

/** Short waits are over at the next turn and noted; all others are the manual clock's. */
function withoutBackoff(clock: EgressRig['clock'], waits: number[]): Clock {
  return {
    ...clock,
    setTimer(delayMs, callback) {
      if (delayMs > BACKOFF_MAX_MS) return clock.setTimer(delayMs, callback);
      waits.push(delayMs);
      const pending = setImmediate(callback);
      return () => clearImmediate(pending);
    },
  };
}

/** The clouds' own variables, which their clients read; returns what was there. */
export function setEnvironment(values: Readonly<Record<string, string | undefined>>) {
  const former: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(values)) {
    former[name] = process.env[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  return former;
}
