import { validationError } from '../../kernel/errors.js';
import { CsrRefused, type DistinguishedName, loadX509 } from '../x509/index.js';
import type { AskedNames } from './certified-names.js';

/** A certificate signing request whose signature is that of its key. */
export interface SigningRequest {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  readonly names: AskedNames;
  /** Its own subject, with the CN in the form in which it is certified. */
  subjectWith(cn: string | undefined): DistinguishedName;
}

/** Of PEM or DER. Throws `CsrRefused`. */
export async function openRequest(csr: string | Buffer): Promise<SigningRequest> {
  const x509 = await loadX509();
  const { subject, publicKey, dns, ips, others } = x509.readCsr(csr);
  const [other] = others;
  if (other !== undefined)
    throw new CsrRefused(`it asks for ${other}: only DNS names and IP addresses are certified`);
  const name = subject ?? [];
  const cn = name.find(([attribute]) => attribute === 'CN')?.[1];
  return {
    publicKey,
    names: { cn, dns, ips },
    subjectWith: (canonical) =>
      name.map(([attribute, text]) => {
        if (attribute === 'CN') return [attribute, canonical ?? text] as const;
        return [attribute, attribute === 'C' ? text.toUpperCase() : text] as const;
      }),
  };
}

/** As a field of a call. */
export async function readRequest(csrPem: string): Promise<SigningRequest> {
  try {
    return await openRequest(csrPem);
  } catch (error) {
    throw error instanceof CsrRefused ? validationError('csr_pem', error.reason) : error;
  }
}
