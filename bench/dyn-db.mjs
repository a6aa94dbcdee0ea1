// Dynamic database credentials against the same statements sent by hand, and against themselves with few and with many leases.
// Each measurement: docs/benchmarks.md.
import {
  changeStore,
  copyLease,
  logIn,
  makeUsers,
  openSilent,
  openTarget,
  usersLeft,
} from './dyn-db-databases.mjs';
import { startLeaseServer } from './dyn-db-server.mjs';

const BARS = { mint: 1.3, storm: 1.3, callDuringStorm: 3, growth: 1.2, goneMs: 2_000 };
const MINTS = 300;
const GROWTH_MINTS = 200;
const LIVE_LEASES = 5_000;
const FINISHED_LEASES = 1_000_000;
const DUE_AT_ONCE = 100;
const WITH_SESSION = 50;
const ENDINGS = 15;
/** Sessions of the worker to one database (dyn-db.md §4). */
const WORKERS = 2;
const CALL_EVERY_MS = 20;
/** The sweep of the server before may have planned its next one for so much later: what was minted has been seen by then. */
const SWEEP_MS = 15_000;
const IDLE_MS = 8_000;
const LEASES_OF_SILENT = 50;
const STORM_MS_MAX = 300_000;
const POLL_MS = 10;

/** `report` tells: bar, note and title; `postgresUrls` are of two servers, `freshDatabase` makes one there. */
export async function measureDynDb(place, { postgresUrls, freshDatabase, report, leases, steps }) {
  const target = await openTarget(postgresUrls[0], 'bench_dyn_db');
  const crowded = await openTarget(postgresUrls[1], 'bench_dyn_db');
  try {
    if (steps.has('mint')) await compareMint(place, target, report);
    if (steps.has('gone')) await measureGone(place, target, report);
    if (steps.has('crowd')) await measureCrowd(place, target, crowded, report);
    if (steps.has('history')) {
      await measureHistory(place, 'SQLite', target, { few: null, many: null }, report);
      const few = await freshDatabase(postgresUrls[1], 'bench_dyn_db_few');
      const many = await freshDatabase(postgresUrls[1], 'bench_dyn_db_many');
      await measureHistory(place, 'PostgreSQL', target, { few, many }, report);
    }
    if (steps.has('storm')) await compareStorm(place, target, leases, report);
  } finally {
    await target.close();
    await crowded.close();
  }
}

async function ready(place, name, target, storeUrl = null) {
  const server = await startLeaseServer(place, name, storeUrl);
  await server.register('target', target.login);
  await server.addRole('target');
  // The first ones find code that is not yet compiled.
  await server.mintMany(60);
  await endAll(server, target);
  return server;
}

/** Until no user is left; milliseconds. */
async function endAll(server, target) {
  const begunAt = performance.now();
  const { accepted } = await server.ask('POST', '/leases/revoke', { connection: 'target' });
  while ((await usersLeft(target, 'kc_user_')) > 0) await pause(POLL_MS);
  return { accepted, ms: performance.now() - begunAt };
}

/** What else a mint of the same database needs to be copied by. */
async function sample(server, target) {
  const { lease_id: id, username } = await server.mint();
  const [row] = await target.run(
    `SELECT a.rolpassword AS verifier, g.rolname AS group FROM pg_authid a
     JOIN pg_auth_members m ON m.member = a.oid JOIN pg_authid g ON g.oid = m.roleid WHERE a.rolname = $1`,
    [username],
  );
  return { id, username, ...row };
}

async function compareMint(place, target, { title, bar }) {
  title(`Mint through HTTP and by pg over a fresh connection: ${MINTS} each, in turns`);
  const server = await ready(place, 'mint', target);
  const { group } = await sample(server, target);
  const [mints, bares] = [[], []];
  for (let n = 0; n < MINTS; n++) {
    const both = [
      async () => mints.push(await timed(() => server.mint())),
      async () => bares.push(await timed(() => bareMint(target.login, `kc_bare_${n}`, group))),
    ];
    for (const one of n % 2 === 0 ? both : both.reverse()) await one();
  }
  await target.run(Array.from({ length: MINTS }, (_, n) => `DROP ROLE kc_bare_${n}`).join(';'));
  await endAll(server, target);
  await server.stop();
  const ratio = at(mints, 0.5) / at(bares, 0.5);
  const value = `p50 ${ms(at(mints, 0.5))} against ${ms(at(bares, 0.5))}: × ${ratio.toFixed(2)}`;
  const tails = `(p99 ${ms(at(mints, 0.99))}, ${ms(at(bares, 0.99))})`;
  bar('mint of a database user', value, tails, ratio <= BARS.mint, `≤ × ${BARS.mint}`);
}

async function bareMint(login, name, group) {
  const client = await logIn(login);
  const text = `CREATE ROLE "${name}" WITH LOGIN PASSWORD 'a0123456789012345678901234567890' VALID UNTIL '2099-01-01 00:00:00+00' IN ROLE "${group}"`;
  await client.query({ text, queryMode: 'extended' });
  await client.end();
}

async function measureGone(place, target, { title, bar }) {
  title(`${DUE_AT_ONCE} leases due at once on an idle server, ${WITH_SESSION} of them with a session`);
  const server = await ready(place, 'gone', target);
  const minted = await server.mintMany(DUE_AT_ONCE);
  const sessions = [];
  for (const { username: user, password } of minted.slice(0, WITH_SESSION))
    sessions.push(await logIn({ ...target.login, user, password }));
  await server.stop();
  const dueAt = Date.now() + SWEEP_MS + 5_000;
  await changeStore(server, (run) =>
    run(`UPDATE dyn_db_leases SET expires_at = ${dueAt}, next_attempt_at = ${dueAt}
         WHERE next_attempt_at IS NOT NULL`),
  );
  await server.start();
  await pause(dueAt - Date.now());
  const left = `SELECT (SELECT count(*) FROM pg_authid WHERE starts_with(rolname, 'kc_user_') AND rolcanlogin)
    + (SELECT count(*) FROM pg_stat_activity WHERE starts_with(usename, 'kc_user_')
        OR (usesysid IS NOT NULL AND usename IS NULL)) AS n`;
  while (Number((await target.run(left))[0].n) > 0) await pause(POLL_MS);
  const worst = Date.now() - dueAt;
  while ((await usersLeft(target, 'kc_user_')) > 0) await pause(POLL_MS);
  const dropped = Date.now() - dueAt;
  for (const session of sessions) await session.end().catch(() => {});
  await server.stop();
  bar(
    `last of ${DUE_AT_ONCE} users out after their expiry`,
    `${worst} ms`,
    `(the last dropped after ${dropped} ms)`,
    worst <= BARS.goneMs,
    `≤ ${BARS.goneMs} ms`,
  );
}

async function measureCrowd(place, target, crowded, { title, bar }) {
  title(`${LIVE_LEASES} live leases of the built-in template: ${GROWTH_MINTS} mints each, in turns`);
  const few = await ready(place, 'few-live', target);
  const many = await ready(place, 'many-live', crowded);
  const known = await sample(many, crowded);
  const nameOf = (n) => `kc_user_live${n}`;
  await makeUsers(crowded, LIVE_LEASES, nameOf, known);
  await many.stop();
  await changeStore(many, (run) =>
    copyLease(run, known.id, LIVE_LEASES, { username: "'kc_user_live' || n" }),
  );
  await many.start();
  await warm(many);
  const { total } = await many.list();
  if (total < LIVE_LEASES) throw new Error(`${total} leases are live, not ${LIVE_LEASES}`);
  const times = await inTurns(GROWTH_MINTS, [() => few.mint(), () => many.mint()]);
  judgeGrowth(bar, `mint with ${LIVE_LEASES} live leases`, times);
  await crowded.run('CREATE ROLE outsider; GRANT SELECT ON things TO outsider');
  await crowded.run('REVOKE SELECT ON things FROM outsider; DROP ROLE outsider');
  bar('a GRANT by an outsider in that database', 'works', '', true, 'works');
  await endAll(few, target);
  await few.stop();
  await many.stop();
}

async function measureHistory(place, store, target, urls, { title, bar }) {
  title(`${FINISHED_LEASES} finished leases in ${store}: ${GROWTH_MINTS} mints and lists each, in turns`);
  const few = await ready(place, `few-${store}`, target, urls.few);
  const many = await ready(place, `many-${store}`, target, urls.many);
  const { id } = await sample(many, target);
  await many.stop();
  const dayAgo = Date.now() - 86_400_000;
  await changeStore(many, async (run) => {
    await copyLease(run, id, FINISHED_LEASES, {
      username: "'kc_user_done' || n",
      status: "'expired'",
      issued_at: `${dayAgo} + n`,
      expires_at: `${dayAgo} + n`,
      next_attempt_at: 'NULL',
      end_cause: "'expired'",
      ended_at: `${dayAgo} + n`,
    });
    // As the database's own housekeeping does in time.
    if (many.storeUrl !== null) await run('VACUUM ANALYZE dyn_db_leases');
  });
  await many.start();
  await warm(many);
  await endAll(many, target);
  const what = (act) => `${act} with ${FINISHED_LEASES} finished leases, ${store}`;
  judgeGrowth(bar, what('mint'), await inTurns(GROWTH_MINTS, [() => few.mint(), () => many.mint()]));
  judgeGrowth(bar, what('list'), await inTurns(GROWTH_MINTS, [() => few.list(), () => many.list()]));
  // They share the users' server: none is left once both have ended theirs.
  await few.ask('POST', '/leases/revoke', { connection: 'target' });
  await endAll(many, target);
  const ends = [[], []];
  for (let n = 0; n < 2 * ENDINGS; n++) {
    const server = [few, many][n % 2];
    await server.mintMany(DUE_AT_ONCE);
    ends[n % 2].push((await endAll(server, target)).ms);
  }
  judgeGrowth(bar, what(`end of ${DUE_AT_ONCE} that are due`), ends);
  await few.stop();
  await many.stop();
}

/** All that the server has compiled and cached is gone with its process. */
async function warm(server) {
  for (let n = 0; n < 60; n++) {
    await server.mint();
    await server.list();
  }
}

async function compareStorm(place, target, leases, { title, bar }) {
  title(`${leases} leases that expire at once, and a database beside it that hangs`);
  const server = await ready(place, 'storm', target);
  const known = await sample(server, target);
  const silent = await openSilent();
  await server.register('silent', { ...target.login, port: silent.port });
  const silentId = (await server.ask('GET', '/silent')).id;

  const half = Math.ceil(leases / 2);
  const nameOf = (n) => `kc_user_storm${n}`;
  const before = await bareStorm(server, target, half, nameOf, known);

  await makeUsers(target, leases, nameOf, known);
  await server.stop();
  const dueAt = Date.now() + SWEEP_MS + IDLE_MS;
  const dueThen = { expires_at: `${dueAt}`, next_attempt_at: `${dueAt}` };
  await changeStore(server, async (run) => {
    await copyLease(run, known.id, leases, { username: "'kc_user_storm' || n", ...dueThen });
    await copyLease(run, known.id, LEASES_OF_SILENT, {
      username: "'kc_user_silent' || n",
      connection_id: `'${silentId}'`,
      connection_name: "'silent'",
      ...dueThen,
    });
  });
  await server.start();
  for (let n = 0; n < 200; n++) await server.list();
  await pause(dueAt - IDLE_MS - Date.now());
  const idle = await callsUntil(server, () => Date.now() > dueAt - 500);
  await pause(dueAt - Date.now());
  let endedAt = null;
  const gone = allGone(target, dueAt).then((time) => {
    endedAt = time;
  });
  const during = await callsUntil(server, () => endedAt !== null);
  await gone;
  const ownMs = endedAt - dueAt;
  const { leases: hanging } = await server.ask('GET', '/leases?connection=silent&limit=1');
  if (hanging.length !== 1) throw new Error('the database that hangs kept no lease');

  const after = await bareStorm(server, target, leases - half, nameOf, known);
  await server.stop();
  silent.close();
  const bareMs = before + after;
  const ratio = ownMs / bareMs;
  bar(
    `${leases} users gone after their expiry`,
    `${seconds(ownMs)} against ${seconds(bareMs)} of a bare loop: × ${ratio.toFixed(2)}`,
    `(${(ownMs / leases).toFixed(2)} ms a user; the halves of the bare loop ${seconds(before)} and ${seconds(after)})`,
    ratio <= BARS.storm,
    `≤ × ${BARS.storm}`,
  );
  const slower = at(during, 0.99) / at(idle, 0.99);
  bar(
    'list of leases meanwhile',
    `p99 ${ms(at(during, 0.99))} against ${ms(at(idle, 0.99))} idle: × ${slower.toFixed(2)}`,
    `(p50 ${ms(at(during, 0.5))}, ${ms(at(idle, 0.5))}; ${during.length} and ${idle.length} calls)`,
    slower < BARS.callDuringStorm,
    `< × ${BARS.callDuringStorm}`,
  );
}

async function allGone(target, dueAt) {
  while ((await usersLeft(target, 'kc_user_storm')) > 0) {
    if (Date.now() - dueAt > STORM_MS_MAX) throw new Error('the users are not gone');
    await pause(10 * POLL_MS);
  }
  return Date.now();
}

/** The statements of the worker over as many connections, while the idle server is asked the same. */
async function bareStorm(server, target, count, nameOf, known) {
  await makeUsers(target, count, nameOf, known);
  const sessions = await Promise.all(Array.from({ length: WORKERS }, () => logIn(target.login)));
  let next = 1;
  let isOver = false;
  const calls = callsUntil(server, () => isOver);
  const begunAt = performance.now();
  await Promise.all(
    sessions.map(async (session) => {
      while (next <= count) await bareDrop(session, nameOf(next++));
    }),
  );
  const elapsed = performance.now() - begunAt;
  isOver = true;
  await calls;
  for (const session of sessions) await session.end();
  return elapsed;
}

async function bareDrop(session, name) {
  const [, , , { rows }] = await session.query(
    `BEGIN; ALTER ROLE "${name}" NOLOGIN; COMMIT;
     SELECT r.oid::text AS oid,
       (SELECT count(*) FROM pg_stat_activity WHERE usesysid = r.oid)::int AS sessions,
       ARRAY(SELECT DISTINCT coalesce(d.datname, current_database())::text
         FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
         WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid) AS databases
     FROM pg_roles r WHERE r.rolname = '${name}'`,
  );
  await session.query(`DROP ROLE IF EXISTS "${name}"`);
  await session.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = $1', [
    rows[0].oid,
  ]);
}

/** One call after the other, at a pace that leaves the machine to what is measured beside them. */
async function callsUntil(server, isOver) {
  const times = [];
  while (!isOver()) {
    times.push(await timed(server.list));
    await pause(CALL_EVERY_MS);
  }
  return times;
}

async function inTurns(rounds, acts) {
  const times = acts.map(() => []);
  const order = acts.map((_, index) => index);
  for (let n = 0; n < rounds; n++) {
    for (const index of n % 2 === 0 ? order : [...order].reverse())
      times[index].push(await timed(acts[index]));
  }
  return times;
}

function judgeGrowth(bar, name, [few, many]) {
  const ratio = at(many, 0.5) / at(few, 0.5);
  bar(
    name,
    `p50 ${ms(at(many, 0.5))} against ${ms(at(few, 0.5))}: × ${ratio.toFixed(2)}`,
    `(p99 ${ms(at(many, 0.99))}, ${ms(at(few, 0.99))})`,
    ratio < BARS.growth,
    `< × ${BARS.growth}`,
  );
}

async function timed(act) {
  const begunAt = performance.now();
  await act();
  return performance.now() - begunAt;
}

function at(times, share) {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)];
}

function ms(value) {
  return `${value.toFixed(1)} ms`;
}

function seconds(value) {
  return `${(value / 1_000).toFixed(1)} s`;
}

function pause(time) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(time, 0)));
}
