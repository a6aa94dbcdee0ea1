import { createHmac } from 'node:crypto';
import type { KeyType } from '../capabilities/crypto-keys/index.js';
import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

let made = 0;

/** A key with a name of its own. */
async function newKey({ create }: World, keyType: KeyType): Promise<string> {
  const { name } = await create('/v1/crypto/keys', { name: `signing-${++made}`, key_type: keyType });
  return `/v1/crypto/keys/${name}`;
}

/** RSA, which alone takes every option; the bits cost no test anything that were made once. */
const rsaKeys = new Map<string, Promise<string>>();
function rsaKey(world: World): Promise<string> {
  const owner = `${world.tenant.id} ${world.mode}`;
  const known = rsaKeys.get(owner) ?? newKey(world, 'rsa-2048');
  rsaKeys.set(owner, known);
  return known;
}

const BASE64 = Buffer.from('message').toString('base64');
const SIGN = [
  { data: 'message', rsa_padding: 'pkcs1v15', hash: 'sha512' },
  { data_b64: BASE64 },
  { batch: [{ data: 'message', rsa_padding: 'pss', hash: 'sha256' }] },
  { batch: [{ data_b64: BASE64 }] },
];
const SIGNATURE = `knoxcall:v1:${createHmac('sha256', 'key').update('message').digest('base64')}`;

/** Of signing with keys and verifying. */
export const SIGNING_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /v1/crypto/keys/:name/sign': {
    path: async (world) => `${await rsaKey(world)}/sign`,
    bodies: () => SIGN,
  },
  'POST /v1/crypto/keys/:name/verify': {
    path: async (world) => `${await rsaKey(world)}/verify`,
    bodies: () =>
      SIGN.map(({ batch, ...one }) =>
        batch
          ? { batch: batch.map((each) => ({ ...each, signature: SIGNATURE })) }
          : { ...one, signature: SIGNATURE },
      ),
  },
  'POST /v1/crypto/keys/:name/jwt': {
    path: async (world) => `${await newKey(world, 'ecdsa-p256')}/jwt`,
    bodies: () => [{ claims: { sub: 'someone', exp: 4_102_444_800 }, header_overrides: { typ: 'at+jwt' } }],
  },
  'POST /v1/crypto/keys/:name/jwt/verify': {
    path: async (world) => `${await newKey(world, 'ed25519')}/jwt/verify`,
    bodies: () => [
      { token: 'e30.e30.', expected: { iss: 'us', aud: ['them'], sub: 'someone' }, leeway_seconds: 5 },
      { token: 'no token', expected: { aud: 'them' } },
    ],
  },
  'POST /v1/crypto/keys/:name/webhook-sign': {
    path: async (world) => `${await newKey(world, 'hmac-sha256')}/webhook-sign`,
    bodies: () => [
      { payload: '{}', format: 'slack', timestamp_seconds: 1_700_000_000 },
      { payload_b64: BASE64 },
    ],
  },
};
