// Load of one side, and the requests that the sides get.
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startNode } from './processes.mjs';
import { percent } from './report.mjs';

const GENERATOR = fileURLToPath(new URL('./generator.mjs', import.meta.url));
export const CONNECTIONS = 50;
const WARMUP_SECONDS = 2;
/** More of the server's core than this spent by other processes makes a run worth repeating. */
export const STRANGERS_BUSY_MAX = 0.1;

/**
 * Connections that load one side, turn by turn: `turn` loads for `settleSeconds`, measures for `seconds` more, and answers with
 * what was measured in all turns of its round so far. A side has one `body`, or `bodiesFile` with several that take turns;
 * `proofUrl`: each request with a DPoP proof of its own.
 */
export function startGenerator({ pid, ...requests }, { cores, upstreamPid }) {
  const plan = {
    connections: CONNECTIONS,
    ...requests,
    pids: { server: pid, ...(upstreamPid && { upstream: upstreamPid }) },
    serverCore: cores.server,
  };
  const child = startNode([GENERATOR, JSON.stringify(plan)], { cpu: cores.others, isTold: true });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  // Where it has ended there is no answer, which is what a turn tells.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  return {
    async turn({ round, settleSeconds, seconds }) {
      child.stdin.write(`${JSON.stringify({ round, settleSeconds, seconds })}\n`);
      const { done, value } = await answers.next();
      if (done) throw new Error('the generator ended before its turn was over');
      const result = JSON.parse(value);
      if (result.refused > 0)
        throw new Error(`${result.refused} calls were refused, the first with\n${result.firstRefusal}`);
      return result;
    },
    end: () => child.stdin.end(),
  };
}

/** One measured stretch against one side. */
export async function load(side, plan) {
  const generator = startGenerator(side, plan);
  try {
    return await generator.turn({ round: 0, settleSeconds: WARMUP_SECONDS, seconds: plan.seconds });
  } finally {
    generator.end();
  }
}

export function describe(result) {
  return (
    `${result.perSecond.toFixed(0)}/s, ${result.serverMicrosEach.toFixed(0)} µs CPU, p50 ${result.p50Ms.toFixed(1)} ms, ` +
    `p99 ${result.p99Ms.toFixed(1)} ms; server ${percent(result.serverBusy)}, others ${percent(result.othersBusy)} busy` +
    (result.strangersBusy > STRANGERS_BUSY_MAX
      ? `; other processes took ${percent(result.strangersBusy)} of the server's core`
      : '')
  );
}

export function plainRequest() {
  return { head: head('POST /charge', []), body: JSON.stringify({ card: 'x', filler: 'y'.repeat(1000) }) };
}

export function transparentRequest(knox, url) {
  const headers = [`Authorization: Bearer ${knox.apiKey}`, `X-Knox-Proxy-URL: ${url}/charge`];
  return { ...plainRequest(), head: head('POST /v1/proxy', [...headers, 'X-Knox-Proxy-Mode: transparent']) };
}

export function routeRequest(knox, slug) {
  return {
    ...plainRequest(),
    head: head(`POST /proxy/${slug}/charge`, [
      `X-KnoxCall-Key: ${knox.apiKey}`,
      'Content-Type: application/json',
    ]),
  };
}

export function ephemeralRequest(knox, url, expression) {
  const headers = [`Authorization: Bearer ${knox.apiKey}`, `X-Knox-Proxy-URL: ${url}/charge`];
  const body = JSON.stringify({ card: expression, filler: 'y'.repeat(950) });
  return { head: head('POST /v1/proxy', headers), body };
}

/** A call of the management API by its key. */
export function keyRequest({ port, apiKey }, path, body) {
  return {
    port,
    head: head(`POST ${path}`, [`Authorization: Bearer ${apiKey}`]),
    body: JSON.stringify(body),
  };
}

/** A form of an authorization server, sent by that client. */
export function formRequest(port, path, { clientId, clientSecret }) {
  const credentials = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
  const headers = [
    `Host: 127.0.0.1:${port}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Authorization: Basic ${credentials}`,
  ];
  return { port, head: lines(`POST ${path}`, ['Accept: */*', ...headers]) };
}

function head(line, headers) {
  return lines(line, ['Host: 127.0.0.1', 'Content-Type: application/json', 'Accept: */*', ...headers]);
}

function lines(line, all) {
  return `${line} HTTP/1.1\r\n${all.map((header) => `${header}\r\n`).join('')}`;
}
