import { validationError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import type {
  CertificateContents,
  CertificateFile,
  CertificateFiles,
  LeafFacts,
} from '../../../platform/crypto/certificate-files.js';
import { pem } from '../../x509/index.js';

/** What may be shown of a stored certificate. */
export interface CertificateInfo {
  /** Null where only a private key was stored. */
  readonly leaf: LeafFacts | null;
  readonly hasPrivateKey: boolean;
  /** Of the leaf and what came with it. */
  readonly certificates: number;
}

/** What is sealed: the leaf first, and its key where there is one. */
interface Bundle {
  readonly certificates: string;
  readonly key: string | null;
}

const WIRE_NAMES = {
  content: 'certificate_content',
  privateKey: 'private_key',
  passphrase: 'passphrase',
} as const;

export interface ReadCertificate {
  readonly text: Secret<string>;
  readonly info: CertificateInfo;
}

/** 400 names the field of the call. Takes a thread: never inside a transaction. */
export async function readCertificate(
  files: CertificateFiles,
  scope: Scope,
  file: CertificateFile,
): Promise<ReadCertificate> {
  const found = await files.read(file, scope.tenantId);
  if ('refused' in found) throw validationError(WIRE_NAMES[found.refused.field], found.refused.rule);
  return { text: bundleText(found), info: infoOf(found) };
}

function bundleText({ certificates, key }: CertificateContents): Secret<string> {
  const bundle: Bundle = {
    certificates: certificates.map((der) => pem('CERTIFICATE', der)).join(''),
    key: key?.reveal() ?? null,
  };
  return new Secret(JSON.stringify(bundle));
}

function infoOf({ certificates, leaf, key }: CertificateContents): CertificateInfo {
  return { leaf, hasPrivateKey: key !== null, certificates: certificates.length };
}

export function bundleOf(text: Secret<string>): Bundle {
  return JSON.parse(text.reveal()) as Bundle;
}

/** As other programs read both from one file. */
export function bundlePem(text: Secret<string>): Secret<string> {
  const { certificates, key } = bundleOf(text);
  return new Secret(`${key ?? ''}${certificates}`);
}
