import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isUuid } from '../../kernel/ids.js';
import { mountedRoutes } from '../../platform/http/mounts.js';
import type { TestAnswer } from '../../testing/calls.js';
import { type MatrixRig, nameOf, openMatrixRig, type World } from '../../testing/matrix-rig.js';
import { MEMORY_PASSWORD } from '../../testing/memory-databases.js';
import { ROUTE_SAMPLES } from '../../testing/route-samples.js';
import { OWNER_PASSWORD } from '../../testing/tenants.js';

/**
 * The whole admin plane is used, each endpoint rightly and wrongly, and every secret that was sent to it or came from it is
 * looked for: in the bytes of the database files, in the log, in every refusal, and in everything that can be read afterwards.
 */
let rig: MatrixRig;
let owner: World;
/** What it is, by the secret. */
const secrets = new Map<string, string>();
const refusals: string[] = [];
beforeAll(async () => {
  rig = await openMatrixRig();
  owner = rig.world('admin', rig.tenant, 'live');
  secrets.set(OWNER_PASSWORD, 'password of an owner');
  secrets.set(MEMORY_PASSWORD, 'password of a target database');
  await useEverything();
});
afterAll(() => rig.close());

/** Members whose values nobody may find again. */
const SECRET = /secret|token|password|passphrase|api_key|handle|private_key|code|otpauth|proof|link/;
/** Named alike, and none: public halves, kinds, and the tokens of vaults, which stand in place of the secret. */
const NO_SECRET =
  /_id$|_type$|_format$|_prefix$|^tokens?$|token_endpoint|_at$|version|^user_code|country_code|codes_left|_url$|^shortcode/;
const CHARACTERS_MIN = 12;

function collect(from: string, value: unknown, name = ''): void {
  if (typeof value === 'string') {
    const isNamed = SECRET.test(name) && (!NO_SECRET.test(name) || from.includes('/admin/auth/'));
    // There `secret` is the name of one.
    const isName = name === 'secret' && from.includes('/wrap/tokens');
    const isMeant = (isNamed && !isName) || (name === 'value' && /\/(secrets|wrap)/.test(from));
    if (isMeant && value.length >= CHARACTERS_MIN) secrets.set(value, `${name} of ${from}`);
  } else if (Array.isArray(value)) for (const one of value) collect(from, one, name);
  else if (value !== null && typeof value === 'object')
    for (const [key, member] of Object.entries(value)) collect(from, member, key);
}

function keep(answer: TestAnswer, from: string): void {
  if (answer.status >= 400) refusals.push(answer.text);
  else collect(from, answer.json);
  for (const cookie of [answer.headers['set-cookie'] ?? []].flat()) {
    const [, value = ''] = /^[^=]+=([^;]*)/.exec(String(cookie)) ?? [];
    if (value.length >= CHARACTERS_MIN) secrets.set(value, `cookie of ${from}`);
  }
}

async function useEverything(): Promise<void> {
  for (const { definition, mount, path: pattern } of mountedRoutes(rig.routes)) {
    if (mount !== 'admin' && definition.access !== 'public') continue;
    const name = nameOf(definition);
    const sample = ROUTE_SAMPLES[name] ?? {};
    const world = sample.ofNewUser ? await owner.withNewUser() : owner;
    collect(`what is before ${name}`, await sample.prepare?.(world));
    const bodies = (await sample.bodies?.(world)) ?? [];
    const ask = definition.access === 'public' ? rig.ask : world.call;
    for (const body of bodies.length === 0 ? [undefined] : bodies) {
      const path = (await sample.path?.(world)) ?? pattern;
      collect(`the body of ${name}`, body);
      const send = (sent: unknown) =>
        ask(definition.method, path, definition.method === 'GET' ? {} : { body: sent });
      // First with a member too many, and with every text in a list: refused, and told of.
      if (body) {
        keep(await send({ ...body, unknown_member: 'x' }), name);
        keep(
          await send(Object.fromEntries(Object.entries(body).map(([key, value]) => [key, [value]]))),
          name,
        );
      }
      keep(await send(body), name);
      // And again: used up by now, or the same once more.
      keep(await send(body), name);
    }
  }
  const wrong = 'a wrong password, typed by hand';
  secrets.set(wrong, 'a wrong password');
  for (const email of [rig.tenant.ownerEmail, 'nobody@acme.example'])
    keep(await rig.ask('POST', '/admin/auth/login', { body: { email, password: wrong } }), 'a wrong sign-in');
  const signedIn = await rig.ask('POST', '/admin/auth/login', {
    body: { email: rig.tenant.ownerEmail, password: OWNER_PASSWORD },
  });
  keep(signedIn, 'a sign-in with cookies');
  // Mails of alerts say which alert it was.
  for (const { text, to } of rig.services.mailBox.mails)
    for (const [token] of text.reveal().matchAll(/[\w-]{32,}/g))
      if (!isUuid(token)) secrets.set(token, `a link to ${to}`);
  await rig.db.flush();
}

/** As it is, and as bytes of it are mostly written; of several lines the longest, since line ends are escaped. */
function writtenAs(secret: string): Buffer[] {
  const longest = secret.split('\n').sort((one, other) => other.length - one.length)[0]!;
  const bytes = Buffer.from(longest);
  const forms = [
    longest,
    bytes.toString('base64url'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
  ];
  const raw = /^[\w-]{43}$/.test(secret) ? [Buffer.from(secret, 'base64url')] : [];
  return [...forms.map((form) => Buffer.from(form)), ...raw];
}

function foundIn(haystack: Buffer): string[] {
  return [...secrets].flatMap(([secret, name]) =>
    writtenAs(secret).some((form) => haystack.includes(form)) ? [name] : [],
  );
}

describe('no secret of the admin plane', () => {
  it('was missed: they are many, and of every kind', () => {
    const names = [...secrets.values()].join('\n');
    for (const kind of [
      'api_key of POST /admin/api-keys',
      'client_secret of POST /v1/oauth-clients',
      'token of POST /admin/auth/login',
      'refresh_token of',
      'cookie of',
      'password of POST /v1/dyn-db',
      'value of the body of POST /v1/secrets',
      'value of GET /admin/secrets/:id/value',
      'claim_handle of',
      'a link to',
    ])
      expect(names).toContain(kind);
    expect(secrets.size).toBeGreaterThan(30);
    expect(refusals.length).toBeGreaterThan(50);
  });

  it('would be overlooked, however it is written', () => {
    for (const [secret, name] of secrets)
      for (const form of writtenAs(secret))
        expect(foundIn(Buffer.concat([Buffer.from('{"a":"'), form]))).toContain(name);
  });

  it('stands in the files of the database', () => {
    const { storage } = rig.db;
    if (storage.kind !== 'sqlite') throw new Error('the files of SQLite are read');
    const files = [storage.path, storage.logPath].flatMap((path) => [path, `${path}-wal`]);
    const bytes = files.filter((path) => existsSync(path)).map((path) => readFileSync(path));
    const all = Buffer.concat(bytes);
    // What is looked for would be found: an address that stands there in clear.
    expect(all.includes(rig.tenant.ownerEmail)).toBe(true);
    expect(foundIn(all)).toEqual([]);
  });

  it('stands in the log', () => {
    expect(rig.logLines.length).toBeGreaterThan(100);
    expect(foundIn(Buffer.from(rig.logLines.join('')))).toEqual([]);
  });

  it('stands in a refusal', () => {
    expect(foundIn(Buffer.from(refusals.join('\n')))).toEqual([]);
  });

  it('can be read again, audit rows included', async () => {
    const texts = [];
    for (const { definition, mount, path: pattern } of mountedRoutes(rig.routes)) {
      if (mount !== 'admin' || definition.method !== 'GET') continue;
      const path = (await ROUTE_SAMPLES[nameOf(definition)]?.path?.(owner)) ?? pattern;
      const { text, status } = await owner.call('GET', path);
      expect([path, status]).toEqual([path, 200]);
      texts.push(text);
    }
    for (let page = 1; page <= 5; page++)
      texts.push((await owner.call('GET', `/admin/audit-logs?per_page=100&page=${page}`)).text);
    expect(texts.length).toBeGreaterThan(30);
    expect(foundIn(Buffer.from(texts.join('\n')))).toEqual([]);
  });
});
