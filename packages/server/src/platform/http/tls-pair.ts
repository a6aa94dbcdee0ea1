import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { type CertificateFacts, checkServerCertificate } from '../crypto/certificates.js';
import { sha256Hex } from '../crypto/hashing.js';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate with its chain, and its key, known to belong together. */
export interface TlsPair {
  readonly certPem: string;
  readonly keyPem: string;
  readonly facts: CertificateFacts;
  /** The same for the same two texts. */
  readonly digest: string;
}

/** Which of the two files is at fault, and how; no part of what stands in it. */
export class TlsPairRefused extends Error {
  override readonly name = 'TlsPairRefused';
  constructor(
    readonly of: 'certificate' | 'key',
    readonly rule: string,
    /** The same as long as the files stay as they are. */
    readonly digest: string,
  ) {
    super(rule);
  }
}

const FILE_CHARACTERS_MAX = 1024 * 1024;

export function readTlsPairSync({ certFile, keyFile }: TlsFiles): TlsPair {
  const read = (of: 'certificate' | 'key', path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw unreadable(of, path, error);
    }
  };
  return pairOf({ certFile, keyFile }, read('certificate', certFile), read('key', keyFile));
}

export async function readTlsPair({ certFile, keyFile }: TlsFiles): Promise<TlsPair> {
  const read = (of: 'certificate' | 'key', path: string) =>
    readFile(path, 'utf8').catch((error) => {
      throw unreadable(of, path, error);
    });
  return pairOf({ certFile, keyFile }, await read('certificate', certFile), await read('key', keyFile));
}

function unreadable(of: 'certificate' | 'key', path: string, error: unknown): TlsPairRefused {
  const rule = `cannot read ${path} (${(error as NodeJS.ErrnoException).code})`;
  return new TlsPairRefused(of, rule, rule);
}

function pairOf({ certFile, keyFile }: TlsFiles, certPem: string, keyPem: string): TlsPair {
  const digest = sha256Hex(`${certPem.length}\0${certPem}${keyPem}`);
  const refuse = (of: 'certificate' | 'key', rule: string): never => {
    throw new TlsPairRefused(of, `${of === 'key' ? keyFile : certFile} ${rule}`, digest);
  };
  if (certPem.length > FILE_CHARACTERS_MAX) refuse('certificate', 'is larger than 1 MiB');
  if (keyPem.length > FILE_CHARACTERS_MAX) refuse('key', 'is larger than 1 MiB');
  const facts = checkServerCertificate(certPem, keyPem);
  if ('rule' in facts) return refuse(facts.of, facts.rule);
  try {
    createSecureContext({ cert: certPem, key: keyPem });
  } catch (error) {
    return refuse('certificate', `cannot be used with its key (${(error as NodeJS.ErrnoException).code})`);
  }
  return { certPem, keyPem, facts, digest };
}
