import { createHmac } from 'node:crypto';
import { newNamedKey } from './crypto-key-samples.js';
import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

const KEYS = '/v1/crypto/keys';

/** RSA, which alone takes every option: one for all calls of a tenant and mode. */
async function rsaKey({ call, create }: World): Promise<string> {
  const name = 'rsa';
  const known = await call('GET', `${KEYS}/${name}`);
  const { id } =
    known.status === 200
      ? (known.json['data'] ?? known.json)
      : await create(KEYS, { name, key_type: 'rsa-2048' });
  return `${KEYS}/${id}`;
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
    path: async (world) => `${await newNamedKey(world, 'ecdsa-p256')}/jwt`,
    bodies: () => [{ claims: { sub: 'someone', exp: 4_102_444_800 }, header_overrides: { typ: 'at+jwt' } }],
  },
  'POST /v1/crypto/keys/:name/jwt/verify': {
    path: async (world) => `${await newNamedKey(world, 'ed25519')}/jwt/verify`,
    bodies: () => [
      { token: 'e30.e30.', expected: { iss: 'us', aud: 'them', sub: 'someone' }, leeway_seconds: 5 },
    ],
  },
  'POST /v1/crypto/keys/:name/webhook-sign': {
    path: async (world) => `${await newNamedKey(world, 'hmac-sha256')}/webhook-sign`,
    bodies: () => [
      { payload: '{}', format: 'slack', timestamp_seconds: 1_700_000_000 },
      { payload_b64: BASE64 },
    ],
  },
};
