// Signatures a second by `node:crypto` alone, one after the other on one core: `bare-signatures.mjs {"seconds", "bytes"}`; one
// line of JSON.
import { constants, createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const { seconds, bytes } = JSON.parse(process.argv[2]);
const message = Buffer.alloc(bytes, 'm');
const AT_ONCE = 10;

const hmac = (hash, keyBytes) => {
  const key = randomBytes(keyBytes);
  return () => createHmac(hash, key).update(message).digest();
};
/** The key as an object that is kept, as who signs often would keep it. */
const keyOf = (type, options) =>
  createPrivateKey(generateKeyPairSync(type, options).privateKey.export({ type: 'pkcs8', format: 'pem' }));
const rsa = (modulusLength) => {
  const key = keyOf('rsa', { modulusLength });
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return () => sign('sha256', message, { key, ...padding });
};
const ecdsa = (namedCurve, hash) => {
  const key = keyOf('ec', { namedCurve });
  return () => sign(hash, message, key);
};
const ed25519 = () => {
  const key = keyOf('ed25519');
  return () => sign(null, message, key);
};

const SIGNERS = {
  'hmac-sha256': () => hmac('sha256', 32),
  'hmac-sha512': () => hmac('sha512', 64),
  'ecdsa-p256': () => ecdsa('P-256', 'sha256'),
  'ecdsa-p384': () => ecdsa('P-384', 'sha384'),
  ed25519,
  'rsa-2048': () => rsa(2_048),
  'rsa-3072': () => rsa(3_072),
  'rsa-4096': () => rsa(4_096),
};

/** By the CPU time of this process, so that what else runs on the core does not count. */
function rateOf(signOnce) {
  for (let n = 0; n < AT_ONCE; n++) signOnce();
  const begun = process.cpuUsage();
  for (let signed = 0; ; signed += AT_ONCE) {
    const { user, system } = process.cpuUsage(begun);
    if (user + system >= seconds * 1e6) return (signed / (user + system)) * 1e6;
    for (let n = 0; n < AT_ONCE; n++) signOnce();
  }
}

const rates = {};
for (const [type, prepare] of Object.entries(SIGNERS)) rates[type] = rateOf(prepare());
console.log(JSON.stringify(rates));
