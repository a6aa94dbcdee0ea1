// Encrypt and decrypt of 1 KB through HTTP against endpoints of the same server that do nothing, and signatures against
// `node:crypto`. Each measurement: docs/benchmarks.md.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadInTurns, timesAsFast, warnOfSpread } from './in-turns.mjs';
import { startKnox } from './knox-server.mjs';
import { keyRequest } from './load.mjs';
import { firstLine, startNode } from './processes.mjs';
import { bar, median, note, noteRate } from './report.mjs';

const HOOK = fileURLToPath(new URL('./no-op-hook.mjs', import.meta.url));
const BARE = fileURLToPath(new URL('./bare-signatures.mjs', import.meta.url));
/** What a call has to reach of one that does nothing. */
const RATIO_MIN = 0.6;
const BYTES = 1_024;
const BATCH = 20;
/** A batch under RSA takes a tenth of a second: of more at once none would be answered within a round. */
const BATCHES_AT_ONCE = 5;
const BARE_SECONDS = 2;
const KEYS = '/v1/crypto/keys';

/** `plan`: `cores`, `seconds` and `rounds`; `tell` gets a line of each round. */
export async function measureCryptoKeys(place, plan, steps, tell) {
  const dataDir = join(place.dataDir, '..', 'crypto');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const knox = await startKnox({ ...place, dataDir, nodeArgs: ['--import', HOOK] });
  if (steps.has('ciphers')) await measureCiphers(knox, plan, tell);
  if (steps.has('signatures')) await measureSignatures(knox, plan, tell);
  await knox.stop();
}

async function measureCiphers(knox, plan, tell) {
  await ask(knox, KEYS, { name: 'bench', key_type: 'aes256-gcm' }, 201);
  const plain = { plaintext: 'p'.repeat(BYTES) };
  const { ciphertext } = await ask(knox, `${KEYS}/bench/encrypt`, plain);
  const sealed = { ciphertext };
  const { plaintext_b64: opened } = await ask(knox, `${KEYS}/bench/decrypt`, sealed);
  if (Buffer.from(opened, 'base64').toString() !== plain.plaintext)
    throw new Error('it opens to another text');
  const side = (path, body) => ({ pid: knox.pid, ...keyRequest(knox, path, body) });
  const sides = {
    'nothing, as encrypt': side('/v1/no-op/encrypt', plain),
    encrypt: side(`${KEYS}/bench/encrypt`, plain),
    'nothing, as decrypt': side('/v1/no-op/decrypt', sealed),
    decrypt: side(`${KEYS}/bench/decrypt`, sealed),
  };
  const measured = await loadInTurns(sides, plan, tell);
  for (const [name, rounds] of Object.entries(measured)) noteRate(`${name}, 1 KB`, rounds);
  for (const name of ['encrypt', 'decrypt']) {
    const { ratio, basis, peerSpread } = timesAsFast(measured[name], measured[`nothing, as ${name}`], {
      mayWait: true,
    });
    const value = `${ratio.toFixed(2)} of an endpoint that does nothing`;
    bar(`${name} of 1 KB`, value, basis, ratio >= RATIO_MIN, `≥ ${RATIO_MIN}`);
    warnOfSpread(peerSpread);
  }
}

async function measureSignatures(knox, plan, tell) {
  const bare = await firstLine(
    startNode([BARE, JSON.stringify({ seconds: BARE_SECONDS, bytes: BYTES })], { cpu: plan.cores.server }),
  );
  const message = { data: 'm'.repeat(BYTES) };
  const batch = { batch: Array.from({ length: BATCH }, () => message) };
  const sides = {};
  for (const type of Object.keys(bare)) {
    await ask(knox, KEYS, { name: type, key_type: type }, 201);
    const path = `${KEYS}/${type}/sign`;
    await ask(knox, path, message);
    sides[type] = { pid: knox.pid, ...keyRequest(knox, path, message) };
    sides[`${type}, by ${BATCH}`] = {
      pid: knox.pid,
      connections: BATCHES_AT_ONCE,
      ...keyRequest(knox, path, batch),
    };
  }
  const rounds = Math.max(1, Math.floor(plan.rounds / 3));
  const measured = await loadInTurns(sides, { ...plan, rounds }, tell);
  for (const [type, rate] of Object.entries(bare)) {
    const one = perSecondOf(measured[type]);
    const many = perSecondOf(measured[`${type}, by ${BATCH}`]) * BATCH;
    note(
      `signatures of 1 KB a second, ${type}`,
      `${one.toFixed(0)}, by ${BATCH} ${many.toFixed(0)}; bare ${rate.toFixed(0)}`,
      `(${(one / rate).toFixed(2)} and ${(many / rate).toFixed(2)} of it)`,
    );
  }
}

/** Of the server's CPU time, since the bare side is measured by its own. */
function perSecondOf(rounds) {
  return 1e6 / median(rounds.map((round) => round.serverMicrosEach));
}

async function ask(knox, path, body, status = 200) {
  const answer = await knox.call('POST', path, body);
  if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return JSON.parse(answer.text).data;
}
