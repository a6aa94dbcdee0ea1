import { Worker } from 'node:worker_threads';
import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import { createLine } from '../../kernel/line.js';
import { Secret } from '../../kernel/secret.js';

/** dataplane.md §3. */
export const CERTIFICATE_FORMATS = ['pem', 'pfx', 'p12', 'crt', 'cer', 'key', 'pkcs7', 'p7b', 'p7c'] as const;
export type CertificateFormat = (typeof CERTIFICATE_FORMATS)[number];

export interface CertificateFile {
  /** PEM, or base64 of a binary file. */
  readonly content: Secret<string>;
  readonly format: CertificateFormat;
  /** PEM, or base64 of PKCS #8; null where the file holds it, or there is none. */
  readonly privateKey: Secret<string> | null;
  /** Of the file, or of the private key. */
  readonly passphrase: Secret<string> | null;
}

/** What may be shown of the first certificate. */
export interface LeafFacts {
  readonly subject: string;
  readonly issuer: string;
  /** Hex digits in lower case. */
  readonly serialNumber: string;
  /** 64 hex digits in lower case: SHA-256 of the DER. */
  readonly sha256Fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What a file holds; every private key is that of the first certificate. */
export interface CertificateContents {
  /** In DER: the leaf, its issuers in their order, then the rest. */
  readonly certificates: readonly Buffer[];
  /** Null where there is none. */
  readonly leaf: LeafFacts | null;
  /** PEM of PKCS #8, open. */
  readonly key: Secret<string> | null;
}

export interface FileRefusal {
  readonly field: 'content' | 'privateKey' | 'passphrase';
  readonly rule: string;
}

export interface CertificateFiles {
  /** Owners are read for in turns. */
  read(
    file: CertificateFile,
    owner: string,
  ): Promise<CertificateContents | { readonly refused: FileRefusal }>;
}

export interface CertificateFilesDeps {
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly certificatesMax: number;
}

const SCRIPT = new URL('./certificate-file-worker.mjs', import.meta.url);
/** How often a passphrase is hashed is said by the file: what takes longer is meant to. */
const READ_MS = 10_000;
const AT_ONCE_MAX = 2;
const WAITING_MAX = 16;
const OWNER_WAITING_MAX = 4;

/** Each file in a thread of its own, which ends with it. */
export function createCertificateFiles({ clock, certificatesMax }: CertificateFilesDeps): CertificateFiles {
  const line = createLine({
    atOnceMax: AT_ONCE_MAX,
    waitingMax: WAITING_MAX,
    ownerWaitingMax: OWNER_WAITING_MAX,
    refusal: () =>
      new AppError('dependency_unavailable', 'Too many certificate files at once', {
        dependency: 'certificate_files',
        retryAfterSeconds: 1,
      }),
  });
  return {
    read: ({ content, format, privateKey, passphrase }, owner) =>
      line.inTurn(
        () =>
          answerOf(clock, {
            content: content.reveal(),
            format,
            privateKey: privateKey?.reveal() ?? null,
            passphrase: passphrase?.reveal() ?? null,
            certificatesMax,
          }),
        owner,
      ),
  };
}

type Answer =
  | {
      readonly read: {
        readonly certificates: readonly Uint8Array[];
        readonly leaf: LeafFacts | null;
        readonly key: string | null;
      };
    }
  | { readonly refused: FileRefusal };

const TOO_MUCH: FileRefusal = { field: 'content', rule: 'takes too much time or memory to be read' };

async function answerOf(
  clock: Pick<Clock, 'setTimer'>,
  workerData: Readonly<Record<string, unknown>>,
): Promise<CertificateContents | { readonly refused: FileRefusal }> {
  const worker = new Worker(SCRIPT, {
    name: 'certificate-file',
    execArgv: [],
    env: {},
    resourceLimits: { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 128 },
    workerData,
  });
  worker.unref();
  let cancel = () => {};
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      cancel = clock.setTimer(READ_MS, () => resolve({ refused: TOO_MUCH }));
      worker.once('message', resolve);
      worker.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') resolve({ refused: TOO_MUCH });
        else reject(new Error(`a certificate file could not be read: ${error.name}`));
      });
      worker.once('exit', () => reject(new Error('the reader of a certificate file ended')));
    });
    if ('refused' in answer) return answer;
    const { certificates, leaf, key } = answer.read;
    assert(certificates.length > 0 || key !== null, 'a certificate file holds something');
    return {
      certificates: certificates.map((der) => Buffer.from(der)),
      leaf,
      key: key === null ? null : new Secret(key),
    };
  } finally {
    cancel();
    await worker.terminate();
  }
}
