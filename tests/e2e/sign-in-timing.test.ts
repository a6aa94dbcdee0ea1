import { Agent } from 'node:http';
import { join } from 'node:path';
import { generateSync } from 'otplib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../packages/server/src/app/migrations.js';
import { commitHook } from '../../packages/server/src/capabilities/audit-logs/index.js';
import { systemClock } from '../../packages/server/src/kernel/clock.js';
import type { TenantId } from '../../packages/server/src/kernel/ids.js';
import { systemIds } from '../../packages/server/src/platform/crypto/random.js';
import {
  openDatabase,
  type StorageOptions,
} from '../../packages/server/src/platform/storage/open-database.js';
import { createMember, OWNER_PASSWORD } from '../../packages/server/src/testing/tenants.js';
import { forEachDatabase } from './scene.js';
import {
  type Bootstrap,
  type Environment,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';
import { compareTimes, timeOf } from './timing.js';

/** Of each side of each comparison; `npm run soak` sets it. */
const SAMPLES = Number(process.env['KNOX_SIGN_IN_SAMPLES'] ?? 0);

const WARM_UP = 20;
const TENANTS = 40;
/** Only so many mails an hour go to one address, so that a hundred calls need twenty. */
const MAILS_OF_AN_ADDRESS = 3;
const LOCKED_AFTER = 5;
const TITLE = 'the time of an answer does not tell whether an account exists';

interface Call {
  readonly path: string;
  readonly body: object;
  /** Without one each call comes from another address. */
  readonly from?: string;
  readonly status: number;
}

afterAll(killAll);

if (SAMPLES === 0) describe.skip(`${TITLE} (KNOX_SIGN_IN_SAMPLES is not set)`, () => forEachDatabase(suite));
else describe(TITLE, () => forEachDatabase(suite));

/** One client with one connection. */
function suite(open: Parameters<Parameters<typeof forEachDatabase>[0]>[0]): void {
  const dataDir = makeDataDir();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let database: Awaited<ReturnType<typeof open>>;
  let server: ServerProcess;
  let bootstrap: Bootstrap;
  const members: string[] = [];

  beforeAll(async () => {
    database = await open();
    const environment: Environment = {
      KNOX_DATA_DIR: dataDir.path,
      KNOX_TRUSTED_PROXIES: '127.0.0.0/8',
      KNOX_SIGNUP: 'on',
      ...database.environment,
    };
    server = await startServer(environment);
    bootstrap = readBootstrap(dataDir.path);
    await stopServer(server);
    await addMembers(environment);
    server = await startServer(environment);
  }, 120_000);
  afterAll(async () => {
    agent.destroy();
    await stopServer(server);
    await database.remove();
    dataDir.remove();
  });

  /** Past the server, which hashes a password for each. */
  async function addMembers({ DATABASE_URL: url }: Environment): Promise<void> {
    const storage: StorageOptions = url
      ? { kind: 'postgres', url, poolMax: 2 }
      : {
          kind: 'sqlite',
          path: join(dataDir.path, 'knox.db'),
          logPath: join(dataDir.path, 'knox-log.db'),
        };
    const db = await openDatabase(storage, { migrations: MIGRATIONS, clock: systemClock, commitHook });
    const { id, slug } = bootstrap.tenant;
    const tenant = { id: id as TenantId, slug, ownerEmail: '', live: NO_KEY, test: NO_KEY };
    for (let n = 0; n < Math.ceil((SAMPLES + WARM_UP) / MAILS_OF_AN_ADDRESS) + 2; n++)
      members.push(
        await createMember({ db, clock: systemClock, ids: systemIds }, tenant, 'viewer', known(n)),
      );
    await db.close();
  }

  function time({ path, body: content, from = anyAddress(), status }: Call): Promise<number> {
    const body = JSON.stringify(content);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'x-forwarded-for': from,
    };
    return timeOf({ agent, url: `${server.url}${path}`, method: 'POST', headers, body, status });
  }

  async function post(path: string, body: object, headers: Record<string, string> = {}) {
    const response = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': anyAddress(), ...headers },
      body: JSON.stringify(body),
    });
    const json = (await response.json()) as Record<string, string>;
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(json)}`);
    return json;
  }

  async function signIn(email: string, password: string) {
    const { token } = await post('/admin/auth/login', { email, password, cookie: false });
    return { authorization: `Bearer ${token}` };
  }

  const compare = (first: (n: number) => Call, second: (n: number) => Call) =>
    compareTimes(
      {
        first: (n) => time(first(n)),
        second: (n) => time(second(n)),
        next: () => time(linkTo(stranger())),
      },
      { samples: SAMPLES, warmUp: WARM_UP },
    );

  const comparison = (
    title: string,
    first: (n: number) => Call,
    second: (n: number) => Call,
    before = noop,
  ) =>
    it(
      title,
      async ({ task }) => {
        await before();
        const timing = await compare(first, second);
        task.meta.timing = timing;
        for (const { area } of [timing.answer, timing.next])
          expect(Math.abs(area - 0.5)).toBeLessThan(timing.bound);
      },
      SAMPLES * 1_000,
    );

  it(
    'and the same clock tells a sign-in that succeeds from one that does not',
    async ({ task }) => {
      const timing = await compare(
        () => wrong(stranger()),
        () => ({
          ...wrong(members[0]!),
          body: { email: members[0]!, password: OWNER_PASSWORD },
          status: 200,
        }),
      );
      task.meta.timing = timing;
      expect(timing.answer.area - 0.5).toBeGreaterThan(timing.bound);
    },
    SAMPLES * 1_000,
  );

  comparison(
    'by a wrong password',
    () => wrong(stranger()),
    () => wrong(members[0]!),
  );

  comparison(
    'by a wrong password of a user with a second factor',
    () => wrong(stranger()),
    () => wrong(members[1]!),
    async () => {
      const authorization = await signIn(members[1]!, OWNER_PASSWORD);
      const proof = { method: 'password', password: OWNER_PASSWORD };
      const { step_up_token: stepUp } = await post('/admin/auth/step-up', proof, authorization);
      const headers = { ...authorization, 'x-knoxcall-stepup': stepUp! };
      const { secret } = await post('/admin/auth/mfa/totp/setup', {}, headers);
      await post('/admin/auth/mfa/totp/confirm', { code: generateSync({ secret: secret! }) }, headers);
    },
  );

  comparison(
    `by a wrong password of the owner of ${TENANTS} tenants`,
    () => wrong(stranger()),
    () => wrong(bootstrap.admin.email),
    async () => {
      const { email, password } = bootstrap.admin;
      const headers = await signIn(email, password);
      for (let n = 1; n < TENANTS; n++)
        await post('/admin/tenants', { name: `Tenant ${n}`, slug: `tenant-${n}` }, headers);
    },
  );

  const lockedStranger = stranger();
  comparison(
    'where it is locked',
    () => ({ ...wrong(lockedStranger), from: '192.0.2.1', status: 429 }),
    () => ({ ...wrong(members[2]!), from: '192.0.2.1', status: 429 }),
    async () => {
      for (let n = 0; n < LOCKED_AFTER; n++)
        for (const email of [lockedStranger, members[2]!]) await time({ ...wrong(email), from: '192.0.2.1' });
    },
  );

  comparison(
    'by asking for a link',
    () => linkTo(stranger()),
    (n) => linkTo(members[2 + Math.floor(n / MAILS_OF_AN_ADDRESS)]!),
  );

  comparison(
    'by signing up',
    () => signUp(stranger()),
    (n) => signUp(members[2 + Math.floor(n / MAILS_OF_AN_ADDRESS)]!),
  );
}

const NO_KEY = { apiKey: '', id: '' as never, keyId: '' };
const noop = async () => {};

/** All of one length, as what is compared is an account. */
const known = (n: number) => `someone-${String(n).padStart(6, '0')}@known.example`;

let strangers = 0;
function stranger(): string {
  strangers += 1;
  return `nobody--${String(strangers).padStart(6, '0')}@known.example`;
}

let addresses = 0;
function anyAddress(): string {
  addresses += 1;
  return `198.${18 + (addresses >> 16)}.${(addresses >> 8) & 255}.${addresses & 255}`;
}

function wrong(email: string): Call {
  return { path: '/admin/auth/login', body: { email, password: 'no password of anybody' }, status: 401 };
}

function linkTo(email: string): Call {
  return { path: '/admin/auth/magic-link', body: { email }, status: 202 };
}

function signUp(email: string): Call {
  return { path: '/v1/signup', body: { email, tenant_name: 'A tenant of somebody' }, status: 202 };
}
