// What a DPoP proof costs, by itself in one process: `dpop-proofs.ts {"storage", "calls"}`; one line of JSON.

import { createDpop, migrations, type ProofRequest } from '../packages/server/src/capabilities/dpop/index.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import { Secret } from '../packages/server/src/kernel/secret.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';
import { createInstruments } from '../packages/server/src/platform/telemetry/instruments.js';
import { createProofMaker } from '../packages/server/src/testing/dpop-proofs.js';

interface Plan {
  readonly storage: StorageOptions;
  readonly calls: number;
}

const URL_OF_TOKENS = 'https://api.knoxcall.test/oauth/token';
const IN_FLIGHT = 50;

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const db = await openDatabase(plan.storage, { migrations, clock: systemClock });
const instruments = createInstruments();
const dpop = createDpop({
  db,
  clock: systemClock,
  rootKey: new Secret(Buffer.alloc(32, 1)),
  iatWindowMs: 300_000,
  instruments,
});

const es256 = createProofMaker('ES256');
const rsa = createProofMaker('RS256');
const claims = () => ({ htm: 'POST', htu: URL_OF_TOKENS, iat: Math.floor(systemClock.nowMs() / 1000) });
const request = (proof: string): ProofRequest => ({
  proofs: [proof],
  method: 'POST',
  url: URL_OF_TOKENS,
  isNonceRequired: false,
});
const withKey = (alg: string, jwk: object) => es256.make(claims(), { header: { alg, jwk } });
const number = (bits: number) => Buffer.alloc(bits / 8, 0xff).toString('base64url');

const good = Object.fromEntries(
  ['ES256', 'ES384', 'EdDSA', 'PS256'].map((alg) => {
    const maker = alg === 'ES256' ? es256 : createProofMaker(alg);
    return [alg, Array.from({ length: plan.calls }, () => request(maker.make(claims())))];
  }),
);
/** Each of them once for every call: they are refused, so that they stay as new. */
const hostile = {
  'RSA key of 8192 bits': withKey('RS256', { kty: 'RSA', e: 'AQAB', n: number(8192) }),
  'RSA exponent of 3072 bits': withKey('RS256', { ...rsa.publicJwk, e: number(3072) }),
  'point off the curve': withKey('ES256', { ...es256.publicJwk, y: es256.publicJwk.x }),
  'proof of 1 MB': 'x'.repeat(1024 * 1024),
  'stale iat': es256.make({ ...claims(), iat: 0 }),
};

const report = {
  good: await measureAll(good),
  hostile: await measureAll(
    Object.fromEntries(
      Object.entries(hostile).map(([name, proof]) => [name, Array(plan.calls).fill(request(proof))]),
    ),
  ),
  usedPerSecond: await useAll(Array.from({ length: plan.calls }, () => request(es256.make(claims())))),
};
await db.close();
console.log(JSON.stringify(report));

async function measureAll(requests: Record<string, readonly ProofRequest[]>) {
  const results: Record<string, { p50Micros: number; p99Micros: number; maxMicros: number }> = {};
  for (const [name, each] of Object.entries(requests)) results[name] = await measure(each);
  return results;
}

/** One after the other; the first tenth warms up. */
async function measure(requests: readonly ProofRequest[]) {
  const warm = Math.floor(requests.length / 10);
  const micros = new Float64Array(requests.length - warm);
  for (const [index, each] of requests.entries()) {
    const begunAt = performance.now();
    await dpop.verify(each).catch(() => {});
    if (index >= warm) micros[index - warm] = (performance.now() - begunAt) * 1_000;
  }
  micros.sort();
  const at = (share: number) => micros[Math.floor((micros.length - 1) * share)]!;
  return { p50Micros: at(0.5), p99Micros: at(0.99), maxMicros: at(1) };
}

/** Verified and used, durable, with as many in flight as a busy server has. */
async function useAll(requests: readonly ProofRequest[]): Promise<number> {
  let next = 0;
  const begunAt = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (let each = requests[next++]; each; each = requests[next++])
        await dpop.consume(await dpop.verify(each));
    }),
  );
  return (requests.length * 1_000) / (performance.now() - begunAt);
}
