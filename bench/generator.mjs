// Keep-alive connections that send one prepared request after the other, and what the processes under test spent.
import { connect } from 'node:net';
import { coreMicros, cpuMicros } from './processes.mjs';

const { port, head, body, connections, warmupSeconds, seconds, pids, serverCore } = JSON.parse(
  process.argv[2],
);
const request = Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

let isMeasured = false;
let isOver = false;
let requests = 0;
let refused = 0;
let firstRefusal = null;
const latenciesMs = [];

function open() {
  const socket = connect(port, '127.0.0.1');
  let pending = '';
  let sentAt = 0;
  const send = () => {
    sentAt = performance.now();
    socket.write(request);
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
      requests++;
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
    requests,
    refused,
    firstRefusal,
    perSecond: (requests / wallMicros) * 1e6,
    p50Ms: latenciesMs[Math.floor(latenciesMs.length * 0.5)],
    p99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)],
    serverMicrosEach: (after.server - before.server) / requests,
    serverBusy: busy('server'),
    othersBusy: busy('generator') + busy('upstream'),
    strangersBusy: serverCore === null ? 0 : Math.max(0, busy('core') - busy('server')),
  }),
);
