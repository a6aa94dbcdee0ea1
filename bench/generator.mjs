// Keep-alive connections that send one prepared request after the other, and what the processes under test spent.
// Each line of its input is a turn: `settleSeconds` without and `seconds` with measurement, from connections that are new to
// ones that are closed. It answers with a line: what was measured in all turns of that `round` so far.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { makeProofs } from './dpop-proofs.mjs';
import { coreMicros, cpuMicros } from './processes.mjs';

const plan = JSON.parse(process.argv[2]);
const { port, head, body, bodiesFile, proofUrl, connections, pids, serverCore } = plan;
/** More than either side takes. */
const PROOFS_A_SECOND = 8_000;
const DRAIN_SECONDS_MAX = 10;
const NOTHING = { wall: 0, core: 0, generator: 0, ...mapped(pids, () => 0) };

const bodies = bodiesFile === undefined ? [body] : JSON.parse(readFileSync(bodiesFile, 'utf8'));
const requests = bodies.map((text) =>
  Buffer.from(`${head}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`),
);
let proofs = [];
let sent = 0;

let isMeasured = false;
let isOver = false;
let refused = 0;
let firstRefusal = null;
const rounds = new Map();
let latenciesMs = [];

for await (const line of createInterface({ input: process.stdin })) {
  const { round, settleSeconds, seconds } = JSON.parse(line);
  const sofar = rounds.get(round) ?? { latenciesMs: [], micros: NOTHING };
  latenciesMs = sofar.latenciesMs;
  if (proofUrl !== undefined)
    proofs = makeProofs(proofUrl, connections, PROOFS_A_SECOND * (settleSeconds + seconds));
  const micros = await drive(settleSeconds, seconds);
  const sum = { latenciesMs, micros: mapped(micros, (name, value) => sofar.micros[name] + value) };
  rounds.set(round, sum);
  console.log(JSON.stringify(report(sum)));
}

function open() {
  const socket = connect(port, '127.0.0.1');
  let pending = '';
  let sentAt = 0;
  const send = () => {
    sentAt = performance.now();
    socket.write(nextRequest());
  };
  socket.setNoDelay(true);
  socket.on('connect', send);
  socket.on('data', (chunk) => {
    pending += chunk.toString('latin1');
    const end = answerEnd(pending);
    if (end === -1) return;
    const answer = pending.slice(0, end);
    pending = pending.slice(end);
    if (isMeasured) latenciesMs.push(performance.now() - sentAt);
    if (!answer.startsWith('HTTP/1.1 200')) {
      refused++;
      firstRefusal ??= answer.slice(0, 600);
    }
    if (isOver) socket.destroy();
    else send();
  });
  socket.on('error', fail);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return closed.then(() => isOver || fail(new Error('the server closed a connection')));
}

function nextRequest() {
  const request = requests[sent++ % requests.length];
  if (proofUrl === undefined) return request;
  const proof = proofs.pop();
  if (proof === undefined) fail(new Error('every proof is used: PROOFS_A_SECOND is too small'));
  return `POST${request.toString('latin1', 4).replace('\r\n', `\r\nDPoP: ${proof}\r\n`)}`;
}

function answerEnd(text) {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return -1;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1];
  if (length !== undefined)
    return text.length >= headEnd + 4 + Number(length) ? headEnd + 4 + Number(length) : -1;
  const last = text.indexOf('\r\n0\r\n\r\n', headEnd + 2);
  return last === -1 ? -1 : last + 7;
}

function fail(error) {
  console.error(error.message);
  process.exit(1);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function drive(settleSeconds, seconds) {
  isOver = false;
  const closed = Array.from({ length: connections }, open);
  await pause(settleSeconds * 1000);
  const before = spent();
  isMeasured = true;
  await pause(seconds * 1000);
  isMeasured = false;
  const after = spent();
  // What is under way is answered first, so that nobody has work left of another's turn.
  isOver = true;
  const late = setTimeout(fail, DRAIN_SECONDS_MAX * 1000, new Error('a request was not answered'));
  await Promise.all(closed);
  clearTimeout(late);
  return mapped(after, (name, value) => value - before[name]);
}

function spent() {
  return {
    wall: performance.now() * 1000,
    generator: cpuMicros(process.pid),
    core: serverCore === null ? 0 : coreMicros(serverCore),
    ...mapped(pids, (_name, pid) => cpuMicros(pid)),
  };
}

function mapped(values, map) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(name, value)]));
}

function report({ latenciesMs, micros }) {
  const requests = latenciesMs.length;
  const busy = (name) => micros[name] / micros.wall;
  latenciesMs.sort((a, b) => a - b);
  return {
    requests,
    refused,
    firstRefusal,
    perSecond: (requests / micros.wall) * 1e6,
    p50Ms: latenciesMs[Math.floor(requests * 0.5)],
    p99Ms: latenciesMs[Math.floor(requests * 0.99)],
    serverMicrosEach: micros.server / requests,
    serverBusy: busy('server'),
    othersBusy: busy('generator') + ('upstream' in pids ? busy('upstream') : 0),
    strangersBusy: serverCore === null ? 0 : Math.max(0, busy('core') - busy('server')),
  };
}
