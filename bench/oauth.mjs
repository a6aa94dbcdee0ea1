// The authorization server against oidc-provider, which keeps everything in memory, and against itself with a million tokens.
// Each measurement: docs/benchmarks.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadInTurns, timesAsFast, warnOfSpread } from './in-turns.mjs';
import { startKnox } from './knox-server.mjs';
import { formRequest } from './load.mjs';
import { copiedToken, copyToken, removeMinted } from './oauth-store.mjs';
import { firstLine, startNode, stop } from './processes.mjs';
import { bar, note, noteRate } from './report.mjs';

const PEER = fileURLToPath(new URL('./oidc-provider-peer.mjs', import.meta.url));
/** What our own calls have to reach of the peer. */
const RATIOS_MIN = { mint: 1, 'mint with DPoP': 2, introspection: 1 };
const CALLS = Object.keys(RATIOS_MIN);
const GROWTH_MIN = 0.8;
const STORED = 1_000_000;
const FEW_STORED = 100;
/** Fewer than the peer keeps; ours are drawn from all that are stored where there are a million. */
const INTROSPECTED = 500;
const DRAWN = 20_000;
const SCOPE = 'proxy:invoke';
const MINT_BODY = `grant_type=client_credentials&scope=${encodeURIComponent(SCOPE)}`;
const TTL_SECONDS = 3_600;

/** `postgresUrls`: of two databases that are empty, or null. */
export async function compareAuthorizationServers(place, { plan, steps, postgresUrls, tell }) {
  const dir = join(place.dataDir, '..', 'oauth');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const sides = { dir, plan, tell };
  if (steps.has('peer')) await comparePeer(place, postgresUrls?.[0] ?? null, sides);
  if (!steps.has('growth')) return;
  await measureGrowth(place, 'SQLite', [null, null], sides);
  if (postgresUrls) await measureGrowth(place, 'PostgreSQL', postgresUrls.slice(1), sides);
}

async function comparePeer(place, postgresUrl, { dir, plan, tell }) {
  const servers = {
    peer: await startPeer(plan),
    SQLite: await startOurs(place, dir, 'sqlite', null),
    ...(postgresUrl && { PostgreSQL: await startOurs(place, dir, 'postgres', postgresUrl) }),
  };
  const sides = {};
  for (const [name, server] of Object.entries(servers)) {
    const bodies = await mintedBodies(server, INTROSPECTED);
    Object.assign(sides, callsOf(name, server, bodiesFileOf(dir, name, bodies)));
  }
  const measured = await loadInTurns(sides, plan, tell);
  for (const { end } of Object.values(servers)) await end();
  for (const call of CALLS) {
    const peer = measured[`${call}, peer`];
    noteRate(`${call}, peer`, peer);
    for (const name of Object.keys(servers).filter((server) => server !== 'peer')) {
      const rounds = measured[`${call}, ${name}`];
      noteRate(`${call}, ${name}`, rounds);
      const { ratio, basis, peerSpread } = timesAsFast(rounds, peer, { mayWait: true });
      const value = `${ratio.toFixed(2)} of the peer`;
      if (name !== 'SQLite') note(`${call}, ${name}, ratio`, value, basis);
      else bar(`${call}, ${name}, ratio`, value, basis, ratio >= RATIOS_MIN[call], `≥ ${RATIOS_MIN[call]}`);
      warnOfSpread(peerSpread);
    }
  }
}

/** Two servers that differ in nothing but the tokens stored; what a round has minted is gone before the next. */
async function measureGrowth(place, database, [fewUrl, manyUrl], { dir, plan, tell }) {
  const name = (count) => `${database.toLowerCase()}-${count}`;
  const few = await startOurs(place, dir, name(FEW_STORED), fewUrl);
  const many = await startOurs(place, dir, name(STORED), manyUrl);
  const sides = {};
  for (const [label, server, stored] of [
    ['few', few, FEW_STORED],
    ['many', many, STORED],
  ]) {
    await mintedBodies(server, 1);
    const copies = { count: stored, nowMs: Date.now() };
    await copyToken(server, copies);
    for (const n of [0, stored - 1]) await expectActive(server, copiedToken(n, copies));
    const drawn = Array.from({ length: Math.min(DRAWN, stored) }, () => Math.floor(Math.random() * stored));
    const file = bodiesFileOf(
      dir,
      name(stored),
      drawn.map((n) => introspectionBody(copiedToken(n, copies))),
    );
    const { mint, introspection } = requestsOf(server, file);
    const prepare = () => removeMinted(server);
    sides[`mint, ${label}`] = { ...mint, prepare };
    sides[`introspection, ${label}`] = introspection;
  }
  const measured = await loadInTurns(sides, plan, tell);
  await few.end();
  await many.end();
  for (const call of ['mint', 'introspection']) {
    const { ratio, basis } = timesAsFast(measured[`${call}, many`], measured[`${call}, few`], {
      mayWait: true,
    });
    const value = `${ratio.toFixed(2)} of the rate with ${FEW_STORED}`;
    const title = `${call}, ${STORED} tokens stored, ${database}`;
    bar(title, value, basis, ratio > GROWTH_MIN, `> ${GROWTH_MIN}`);
  }
}

function callsOf(name, server, bodiesFile) {
  const requests = Object.entries(requestsOf(server, bodiesFile));
  return Object.fromEntries(requests.map(([call, request]) => [`${call}, ${name}`, request]));
}

function requestsOf({ pid, port, paths, client, introspection }, bodiesFile) {
  const mint = { pid, ...formRequest(port, paths.token, client), body: MINT_BODY };
  return {
    mint,
    'mint with DPoP': { ...mint, proofUrl: `http://127.0.0.1:${port}${paths.token}` },
    introspection: {
      pid: introspection.pid,
      ...formRequest(introspection.port, paths.introspect, client),
      bodiesFile,
    },
  };
}

async function startOurs(place, dir, name, storeUrl) {
  const dataDir = join(dir, name);
  mkdirSync(dataDir, { mode: 0o700 });
  const env = storeUrl === null ? {} : { DATABASE_URL: storeUrl };
  const knox = await startKnox({ ...place, dataDir, env });
  const answer = await knox.call('POST', '/v1/oauth-clients', { name: 'bench', allowed_scopes: [SCOPE] });
  if (answer.status !== 201) throw new Error(`no client was made: ${answer.status} ${answer.text}`);
  const { client_id: clientId, client_secret: clientSecret } = JSON.parse(answer.text).data;
  const at = { pid: knox.pid, port: knox.port };
  const paths = { token: '/oauth/token', introspect: '/oauth/introspect' };
  const client = { clientId, clientSecret };
  return { ...at, introspection: at, paths, client, dataDir, storeUrl, end: knox.stop };
}

/** In two processes: of what it keeps, its newest mints would drive out the tokens that are asked about. */
async function startPeer({ cores }) {
  const client = { clientId: 'bench', clientSecret: 'bench-secret' };
  const settings = JSON.stringify({ ...client, scope: SCOPE, ttlSeconds: TTL_SECONDS });
  const start = async () => {
    const child = startNode([PEER, settings], { cpu: cores.server, env: { NODE_ENV: 'production' } });
    return { child, pid: child.pid, port: (await firstLine(child)).port };
  };
  const minting = await start();
  const introspection = await start();
  const paths = { token: '/token', introspect: '/token/introspection' };
  const end = async () => {
    for (const { child } of [minting, introspection]) await stop(child);
  };
  return { pid: minting.pid, port: minting.port, introspection, paths, client, end };
}

async function mintedBodies(server, count) {
  const bodies = [];
  for (let n = 0; n < count; n++) {
    const { access_token: token } = await send(server, server.paths.token, MINT_BODY);
    if (token === undefined) throw new Error('no token was minted');
    bodies.push(introspectionBody(token));
  }
  return bodies;
}

/** A copy that is not found would be answered as well, and faster. */
async function expectActive(server, token) {
  const { active } = await send(server, server.paths.introspect, introspectionBody(token));
  if (active !== true) throw new Error('a copied token is not found');
}

async function send({ introspection, client }, path, body) {
  const credentials = Buffer.from(`${client.clientId}:${client.clientSecret}`).toString('base64');
  const answer = await fetch(`http://127.0.0.1:${introspection.port}${path}`, {
    method: 'POST',
    headers: { authorization: `Basic ${credentials}`, 'content-type': 'application/x-www-form-urlencoded' },
    body,
  });
  return answer.json();
}

function introspectionBody(token) {
  return `token=${token}`;
}

function bodiesFileOf(dir, name, bodies) {
  const file = join(dir, `${name}-bodies.json`);
  writeFileSync(file, JSON.stringify(bodies));
  return file;
}
