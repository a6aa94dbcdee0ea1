// The proxy and its peers under the same load, in turns.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadInTurns, timesAsFast, warnOfSpread } from './in-turns.mjs';
import { checkEphemeral, makeRoute, startKnox, tokenize } from './knox-server.mjs';
import { CONNECTIONS, ephemeralRequest, plainRequest, routeRequest, transparentRequest } from './load.mjs';
import { findNginx, startNginx } from './nginx.mjs';
import { firstLine, startNode, stop } from './processes.mjs';
import { bar, note, noteRate, skip } from './report.mjs';

const PEER = fileURLToPath(new URL('./peer.mjs', import.meta.url));
const HTTP_PROXY_PEER = fileURLToPath(new URL('./http-proxy-peer.mjs', import.meta.url));
/** A pause costs a larger server more than a smaller one: longer than what that costs, and short enough to be in every round. */
const TURN_SECONDS = 1.25;
/** What our own calls have to reach of the peer. */
const RATIOS_MIN = { transparent: 0.6, ephemeral: 0.34, route: 0.6, 'route with a secret': 0.5 };

/** `plan`: `cores`, `seconds`, `upstreamPid` and `rounds`; `steps` of `nginx`, `ephemeral`, `routes`; `tell` gets a line of each round. */
export async function compareProxies(place, url, { plan, steps, tell }) {
  const target = {
    origin: `https://127.0.0.1:${place.upstream.port}`,
    servername: place.upstream.name,
    caFile: place.caFile,
  };
  const peers = {
    peer: await startPeer(PEER, target, plan),
    '@fastify/http-proxy': await startPeer(HTTP_PROXY_PEER, target, plan),
    ...(steps.has('nginx') && (await startNginxPeer(place, target, plan))),
  };
  const ours = await startOurs(place, url, steps);
  const sides = {
    ...Object.fromEntries(
      Object.entries(peers).map(([name, { child, port }]) => [
        name,
        { pid: child.pid, port, ...plainRequest() },
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(ours).map(([name, { knox, request }]) => [
        name,
        { pid: knox.pid, port: knox.port, ...request },
      ]),
    ),
  };
  const turns = Math.max(1, Math.round(plan.seconds / TURN_SECONDS));
  const measured = await loadInTurns(sides, { ...plan, turns }, tell);
  for (const { knox } of Object.values(ours)) await knox.stop();
  for (const { child } of Object.values(peers)) await stop(child);
  judge(measured);
}

/** A process each, as the peers have: what one kind of call leaves to be done is not another's cost. */
async function startOurs(place, url, steps) {
  const requests = {
    ...(steps.has('ephemeral') && {
      transparent: async (knox) => transparentRequest(knox, url),
      ephemeral: async (knox) => {
        const expression = await tokenize(knox);
        await checkEphemeral(knox, url, expression);
        return ephemeralRequest(knox, url, expression);
      },
    }),
    ...(steps.has('routes') && {
      route: async (knox) => routeRequest(knox, await makeRoute(knox, url, null)),
      'route with a secret': async (knox) =>
        routeRequest(knox, await makeRoute(knox, url, 'sk-bench-0123456789abcdef')),
    }),
  };
  const ours = {};
  for (const [name, request] of Object.entries(requests)) {
    const dataDir = join(place.dataDir, '..', name.replaceAll(' ', '-'));
    mkdirSync(dataDir, { mode: 0o700 });
    const knox = await startKnox({ ...place, dataDir });
    ours[name] = { knox, request: await request(knox) };
  }
  return ours;
}

async function startPeer(file, target, { cores }) {
  const child = startNode([file, JSON.stringify(target)], { cpu: cores.server });
  return { child, port: (await firstLine(child)).port };
}

/** By its name; nothing where it is not installed. */
async function startNginxPeer({ dataDir }, target, { cores }) {
  const nginx = findNginx();
  if (nginx === null) {
    skip(' nginx', 'nginx is not installed (apt-get install nginx-light)');
    return {};
  }
  const settings = { dir: join(dataDir, '..', 'nginx'), cpu: cores.server, connections: CONNECTIONS };
  return { [`nginx ${nginx.version}`]: await startNginx(nginx, target, settings) };
}

function judge(measured) {
  for (const [name, rounds] of Object.entries(measured))
    noteRate(name, rounds, 'requests a second; CPU of the server a request');
  const { peer, ...others } = measured;
  for (const [name, rounds] of Object.entries(others)) {
    const { ratio, basis, peerSpread } = timesAsFast(rounds, peer);
    const value = `${ratio.toFixed(2)} of the peer`;
    const ratioMin = RATIOS_MIN[name] ?? null;
    if (ratioMin !== null) bar(nameOfCall(name), value, basis, ratio >= ratioMin, `≥ ${ratioMin}`);
    else note(nameOfCall(name), value, basis);
    warnOfSpread(peerSpread);
  }
}

function nameOfCall(name) {
  if (name.startsWith('route')) return `call of a ${name}`;
  if (name === 'transparent') return 'transparent call';
  return name === 'ephemeral' ? 'ephemeral call with one detokenize' : `transparent call of ${name}`;
}
