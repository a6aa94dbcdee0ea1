// Keep-alive connections that send one prepared request after the other, and what the processes under test spent.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { makeProofs } from './dpop-proofs.mjs';
import { coreMicros, cpuMicros } from './processes.mjs';

const plan = JSON.parse(process.argv[2]);
const { port, head, body, bodiesFile, connections, warmupSeconds, seconds, pids, serverCore } = plan;
/** More than either side takes. */
const PROOFS_A_SECOND = 8_000;

const bodies = bodiesFile === undefined ? [body] : JSON.parse(readFileSync(bodiesFile, 'utf8'));
const requests = bodies.map((text) =>
  Buffer.from(`${head}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`),
);
const proofs = plan.proofUrl === undefined ? null : makeProofs(plan.proofUrl, connections, proofsNeeded());
let sent = 0;

let isMeasured = false;
let isOver = false;
let answered = 0;
let refused = 0;
let firstRefusal = null;
const latenciesMs = [];

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
    if (isMeasured) {
      answered++;
      latenciesMs.push(performance.now() - sentAt);
    }
    if (!answer.startsWith('HTTP/1.1 200')) {
      refused++;
      firstRefusal ??= answer.slice(0, 600);
    }
    if (!isOver) send();
  });
  socket.on('error', fail);
  socket.on('close', () => isOver || fail(new Error('the server closed a connection')));
  return socket;
}

function proofsNeeded() {
  return PROOFS_A_SECOND * (warmupSeconds + seconds);
}

function nextRequest() {
  const request = requests[sent++ % requests.length];
  if (proofs === null) return request;
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

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const spent = () => ({
  at: performance.now(),
  generator: cpuMicros(process.pid),
  core: serverCore === null ? 0 : coreMicros(serverCore),
  ...Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuMicros(pid)])),
});

const sockets = Array.from({ length: connections }, open);
await pause(warmupSeconds * 1000);
const before = spent();
isMeasured = true;
await pause(seconds * 1000);
isMeasured = false;
const after = spent();
isOver = true;
for (const socket of sockets) socket.destroy();

const wallMicros = (after.at - before.at) * 1000;
const busy = (name) => (after[name] - before[name]) / wallMicros;
latenciesMs.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    requests: answered,
    refused,
    firstRefusal,
    perSecond: (answered / wallMicros) * 1e6,
    p50Ms: latenciesMs[Math.floor(latenciesMs.length * 0.5)],
    p99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)],
    serverMicrosEach: (after.server - before.server) / answered,
    serverBusy: busy('server'),
    othersBusy: busy('generator') + ('upstream' in pids ? busy('upstream') : 0),
    strangersBusy: serverCore === null ? 0 : Math.max(0, busy('core') - busy('server')),
  }),
);
