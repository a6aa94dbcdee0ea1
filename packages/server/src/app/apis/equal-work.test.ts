import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemIds } from '../../platform/crypto/random.js';
import type { TestAnswer } from '../../testing/calls.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { oneTimeCode } from '../../testing/one-time-codes.js';
import { createMember, OWNER_PASSWORD } from '../../testing/tenants.js';

/**
 * Whether an address has an account is told neither by an answer nor by its time (auth.md §7). Time is counted here as work:
 * each statement in its order, and each password that is looked at with what it costs.
 */
const work = vi.hoisted((): string[] => []);

vi.mock('@node-rs/argon2', async (original) => {
  const argon2 = await original<typeof import('@node-rs/argon2')>();
  return {
    ...argon2,
    verify: (stored: string, password: string) => {
      work.push(`verify ${stored.split('$').slice(1, 4).join(' ')}`);
      return argon2.verify(stored, password);
    },
    hash: (password: string, options: object) => {
      work.push(`hash ${JSON.stringify(options)}`);
      return argon2.hash(password, options);
    },
  };
});

/** Reads run on this thread, by the driver that everybody loads here. */
vi.mock('../../platform/storage/sqlite-module.js', async (original) => {
  const module = await original<typeof import('../../platform/storage/sqlite-module.js')>();
  const sqlite = module.loadSqlite();
  class WatchedDatabase extends sqlite.DatabaseSync {
    override prepare(sql: string) {
      return new Proxy(super.prepare(sql), {
        get(statement, name) {
          if (name === 'all') work.push(`read ${sql}`);
          const member: unknown = Reflect.get(statement, name);
          return typeof member === 'function' ? member.bind(statement) : member;
        },
      });
    }
  }
  return { ...module, loadSqlite: () => ({ ...sqlite, DatabaseSync: WatchedDatabase }) };
});

let rig: MatrixRig;
let withFactor = '';
/** A user of another role. */
const viewer = 'viewer-of-acme@acme.example';
beforeAll(async () => {
  rig = await openMatrixRig();
  const owner = await rig.world('admin', rig.tenant, 'live').withNewUser();
  const { secret } = (await owner.call('POST', '/admin/auth/mfa/totp/setup', {})).json;
  const code = oneTimeCode(secret, rig.clock.nowMs());
  expect((await owner.call('POST', '/admin/auth/mfa/totp/confirm', { body: { code } })).status).toBe(200);
  withFactor = owner.tenant.ownerEmail;
  await createMember({ ...rig, ids: systemIds }, rig.tenant, 'viewer', viewer);
  watch();
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rig.close();
});
beforeEach(() => work.splice(0));

/** What is written is sent to the thread of the writer. */
function watch(): void {
  const { postMessage } = Worker.prototype;
  vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, message, ...rest) {
    work.push(`write ${JSON.stringify(textOf(message as Posted))}`);
    return postMessage.call(this, message, ...(rest as []));
  });
}

interface Posted {
  readonly op: string;
  readonly sql?: string;
  readonly statement?: { readonly sql: string };
  readonly texts?: readonly unknown[];
}

const textOf = ({ op, sql, statement, texts }: Posted) => [op, sql ?? statement?.sql ?? texts ?? null];

let networks = 0;
/** Each from a network of its own, so that no count of one is in the way of another. */
const ask = (path: string, body: object) => rig.ask('POST', path, { body, ip: `198.51.100.${++networks}` });

async function worked(path: string, body: object): Promise<{ answer: TestAnswer; work: string[] }> {
  await rig.db.flush();
  work.splice(0);
  const answer = await ask(path, body);
  return { answer, work: [...work] };
}

const shown = ({ status, text, headers }: TestAnswer) => ({
  status,
  text: text.replace(/"request_id":"[^"]+"/, '').replace(/"claim_handle":"[^"]+"/, ''),
  headers: { ...headers, 'x-request-id': '', date: '' },
});

describe('an unknown address and a wrong password', () => {
  it('cost the same statements and the same hash, and are one answer', async () => {
    const wrong = { password: 'wrong password of somebody' };
    // Statements are prepared by the first.
    await worked('/admin/auth/login', { email: 'first@acme.example', ...wrong });
    const unknown = await worked('/admin/auth/login', { email: 'nobody@acme.example', ...wrong });
    expect(unknown.answer.status).toBe(401);
    expect(unknown.work.filter((one) => one.startsWith('verify'))).toEqual([
      'verify argon2id v=19 m=19456,t=2,p=1',
    ]);
    expect(unknown.work.filter((one) => one.startsWith('read')).length).toBeGreaterThan(1);
    expect(unknown.work.filter((one) => one.startsWith('write')).length).toBeGreaterThan(1);
    for (const email of [rig.tenant.ownerEmail, withFactor, viewer, rig.owner.email]) {
      const known = await worked('/admin/auth/login', { email, ...wrong });
      expect([email, shown(known.answer)]).toEqual([email, shown(unknown.answer)]);
      expect([email, known.work]).toEqual([email, unknown.work]);
    }
  });

  it('are told apart from the right one by more than a hash: the count is of something', async () => {
    const right = await worked('/admin/auth/login', {
      email: rig.tenant.ownerEmail,
      password: OWNER_PASSWORD,
    });
    const wrong = await worked('/admin/auth/login', {
      email: rig.tenant.ownerEmail,
      password: 'wrong password',
    });
    expect(right.answer.status).toBe(200);
    expect(right.work.length).toBeGreaterThan(wrong.work.length);
  });

  it('are locked alike: the sixth costs no hash, whoever is meant', async () => {
    const locked = async (email: string) => {
      const ip = `203.0.113.${++networks}`;
      const body = { email, password: 'wrong password' };
      for (let i = 0; i < 5; i++) await rig.ask('POST', '/admin/auth/login', { body, ip });
      await rig.db.flush();
      work.splice(0);
      const answer = await rig.ask('POST', '/admin/auth/login', { body, ip });
      return { answer: shown(answer), work: [...work] };
    };
    const unknown = await locked('nobody@acme.example');
    expect(unknown.answer.status).toBe(429);
    expect(unknown.work.filter((one) => !one.startsWith('read'))).toEqual([]);
    expect(await locked(rig.tenant.ownerEmail)).toEqual(unknown);
    expect(await locked(withFactor)).toEqual(unknown);
  });
});

describe('a signup', () => {
  it('costs the same for an address that has an account, and is one answer', async () => {
    const body = { tenant_name: 'Same name' };
    await worked('/v1/signup', { email: 'first@signup.example', ...body });
    const unknown = await worked('/v1/signup', { email: 'nobody@signup.example', ...body });
    expect(unknown.answer.status).toBe(202);
    expect(unknown.work.length).toBeGreaterThan(4);
    for (const email of [rig.tenant.ownerEmail, withFactor]) {
      const known = await worked('/v1/signup', { email, ...body });
      expect(shown(known.answer)).toEqual(shown(unknown.answer));
      expect(known.work).toEqual(unknown.work);
    }
  });
});

describe('a sign-in link', () => {
  it('costs the same for an address that has no account, and is one answer', async () => {
    const path = '/admin/auth/magic-link';
    await worked(path, { email: 'first@links.example' });
    const unknown = await worked(path, { email: 'nobody@links.example' });
    expect([unknown.answer.status, unknown.answer.json]).toEqual([202, { accepted: true, expires_in: 900 }]);
    expect(unknown.work.filter((one) => one.startsWith('read')).length).toBeGreaterThan(1);
    expect(unknown.work.filter((one) => one.startsWith('write')).length).toBeGreaterThan(2);
    for (const email of [rig.tenant.ownerEmail, withFactor, viewer, rig.owner.email]) {
      const known = await worked(path, { email });
      expect(rig.services.mailBox.lastTo(email).subject).toBe('Sign in to KnoxCall');
      expect([email, shown(known.answer)]).toEqual([email, shown(unknown.answer)]);
      expect([email, known.work]).toEqual([email, unknown.work]);
    }
  });

  it('costs the same beyond what one address is mailed, and nobody is mailed', async () => {
    const path = '/admin/auth/magic-link';
    const beyond = async (email: string) => {
      for (let i = 0; i < 5; i++) await worked(path, { email });
      const { length } = rig.services.mailBox.mails;
      const { answer, work } = await worked(path, { email });
      expect(rig.services.mailBox.mails).toHaveLength(length);
      return { answer: shown(answer), work };
    };
    const unknown = await beyond('nobody-else@links.example');
    expect(unknown.answer.status).toBe(202);
    expect(await beyond(viewer)).toEqual(unknown);
  });
});
