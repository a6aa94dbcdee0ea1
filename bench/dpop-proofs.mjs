import { createHash, generateKeyPairSync, sign } from 'node:crypto';

/** Proofs (RFC 9449 §4.2) of so many ES256 keys in turn, each with an id of its own. */
export function makeProofs(url, keys, count) {
  const signers = Array.from({ length: keys }, newSigner);
  const iat = Math.floor(Date.now() / 1000);
  return Array.from({ length: count }, (_, n) => {
    const { header, privateKey } = signers[n % keys];
    const jti = createHash('sha256').update(`${header} ${n}`).digest('base64url');
    const signed = `${header}.${encode({ jti, htm: 'POST', htu: url, iat })}`;
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  });
}

function newSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  return { header: encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }), privateKey };
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
