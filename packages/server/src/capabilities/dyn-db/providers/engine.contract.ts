import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import { parseIpAddress } from '../../../kernel/ip-address.js';
import type { Secret } from '../../../kernel/secret.js';
import { systemRandom } from '../../../platform/crypto/random.js';
import { type Relay, startRelay } from '../../../testing/relay.js';
import { generateUsername } from '../statements/names.js';
import { generatePassword } from '../statements/password.js';
import type { Transport } from '../transports/transport.js';
import {
  type Engine,
  type EngineSession,
  type EngineTarget,
  type GroupRole,
  type MintedUser,
  type RoleStatements,
  TEMPLATES,
  type TemplateName,
} from './engine.js';

/** A log-in of a minted user with the engine's own client library. */
export interface Guest {
  end(): Promise<void>;
}

export interface Act<G extends Guest> {
  readonly title: string;
  run(guest: G): Promise<unknown>;
}

/** A server with a database and an admin of its own; everything of it is gone after `cleanup`. */
export interface EngineFixture<G extends Guest> {
  readonly engine: Engine;
  readonly target: EngineTarget;
  /** An admin who may not create users, and what `missingGrant` has to name. */
  readonly powerless: { readonly target: EngineTarget; readonly hint: RegExp };
  /** Makes a user that can log in and does what `readonly` allows. */
  readonly customStatements: Omit<RoleStatements, 'group'>;
  /** Their first ones are what an open session is tried with. */
  readonly acts: Record<
    TemplateName,
    { readonly allowed: readonly Act<G>[]; readonly refused: readonly Act<G>[] }
  >;
  /** Why the tables of acts are skipped on a server that enforces no roles; null = it does. */
  readonly rolesNotEnforced: string | null;
  /** Whether the engine refuses log-ins after the end of a user by itself. */
  readonly expiresByItself: boolean;
  /** Where users can own something: makes it as the guest, and tells whether it is still there. */
  readonly ownership: { make(guest: G): Promise<void>; isThere(): Promise<boolean> } | null;
  /** Rejects where the server refuses the log-in. */
  logIn(username: string, password: Secret<string>): Promise<G>;
  /** Also users that may not log in. */
  userExists(username: string): Promise<boolean>;
  /** As a creation leaves it that was cut in the middle. */
  makeHalfUser(username: string): Promise<void>;
  groupRoleExists(name: string): Promise<boolean>;
  cleanup(): Promise<void>;
}

/** Dials what it is told to: judging is the transports' own suite. */
export function dialingTransport(): Transport {
  return {
    async open(address, signal) {
      const socket = connect({ host: address.host, port: address.port, signal });
      socket.on('error', () => {});
      await once(socket, 'connect');
      return socket;
    },
    resolve: async ({ host }) => [parseIpAddress(host)!],
    close: () => Promise.resolve(),
  };
}

/** The suite that every engine passes (contract dyn-db.md §3.1, §10). */
export function engineContract<G extends Guest>(name: string, open: () => Promise<EngineFixture<G>>): void {
  describe(name, () => {
    let fixture: EngineFixture<G>;
    const errors: unknown[] = [];
    const secrets: string[] = [];
    const closers: (() => Promise<unknown>)[] = [];

    beforeAll(async () => {
      fixture = await open();
      secrets.push(fixture.target.adminPassword.reveal(), fixture.powerless.target.adminPassword.reveal());
    });
    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
    });
    afterAll(() => fixture.cleanup());

    async function session(
      target: EngineTarget = fixture.target,
      transport = dialingTransport(),
      signal = new AbortController().signal,
    ): Promise<EngineSession> {
      const opened = await fixture.engine.connect(target, transport, signal);
      closers.push(() => opened.close());
      return opened;
    }

    /** Every error of the suite is kept, and searched for secrets at the end. */
    async function refusal(act: Promise<unknown>): Promise<AppError> {
      const error = await act.then(
        () => expect.fail('was not refused'),
        (thrown: unknown) => thrown,
      );
      errors.push(error);
      expect(error).toBeInstanceOf(AppError);
      return error as AppError;
    }

    function groupRole(template: TemplateName): GroupRole {
      const group = {
        name: `kc_tpl_${template}_${systemRandom.bytes(4).toString('hex')}`,
        template,
        schemas: null,
      };
      closers.push(async () => {
        const own = await fixture.engine.connect(
          fixture.target,
          dialingTransport(),
          new AbortController().signal,
        );
        await own.dropGroupRole(group);
        await own.close();
        expect(await fixture.groupRoleExists(group.name)).toBe(false);
      });
      return group;
    }

    function templateOf(template: TemplateName): RoleStatements & { readonly group: GroupRole } {
      const group = groupRole(template);
      return { ...fixture.engine.templateStatements(group, fixture.target.database), group };
    }

    const custom = (): RoleStatements => ({ ...fixture.customStatements, group: null });

    function newUser(statements: RoleStatements, expiresAtMs = Date.now() + 3_600_000): MintedUser {
      const user = {
        username: generateUsername(systemRandom),
        password: generatePassword(systemRandom),
        expiresAtMs,
      };
      secrets.push(user.password.reveal());
      closers.push(async () => {
        const own = await fixture.engine.connect(
          fixture.target,
          dialingTransport(),
          new AbortController().signal,
        );
        await own.dropUser(user.username, statements);
        await own.close();
        expect(await fixture.userExists(user.username)).toBe(false);
      });
      return user;
    }

    async function mint(admin: EngineSession, statements: RoleStatements): Promise<MintedUser> {
      const user = newUser(statements);
      await admin.createUser(user, statements);
      return user;
    }

    async function logIn(user: MintedUser): Promise<G> {
      const guest = await fixture.logIn(user.username, user.password);
      closers.push(() => guest.end());
      return guest;
    }

    const refusesLogIn = (user: MintedUser) =>
      expect(fixture.logIn(user.username, user.password)).rejects.toThrow();
    const firstAct = () => fixture.acts.readonly.allowed[0]!;

    describe('a minted user', () => {
      it.for(TEMPLATES)('of %s does what the template says and nothing beyond', async (template, context) => {
        const admin = await session();
        const statements = templateOf(template);
        await admin.ensureGroupRole(statements.group);
        const guest = await logIn(await mint(admin, statements));
        if (fixture.rolesNotEnforced !== null) return context.skip(fixture.rolesNotEnforced);
        for (const act of fixture.acts[template].allowed) {
          await expect(act.run(guest), `${act.title} is allowed`).resolves.not.toThrow();
        }
        for (const act of fixture.acts[template].refused) {
          await expect(act.run(guest), `${act.title} is refused`).rejects.toThrow();
        }
      });

      it('of custom statements logs in and goes as the others do', async () => {
        const admin = await session();
        const user = await mint(admin, custom());
        const guest = await logIn(user);
        await firstAct().run(guest);
        await admin.dropUser(user.username, custom());
        await refusesLogIn(user);
        if (fixture.rolesNotEnforced === null) await expect(firstAct().run(guest)).rejects.toThrow();
        expect(await fixture.userExists(user.username)).toBe(false);
      });

      it('is told of by the report of orphans', async () => {
        const admin = await session();
        const user = await mint(admin, custom());
        expect(await admin.mintedUsers()).toContain(user.username);
        await admin.dropUser(user.username, custom());
        expect(await admin.mintedUsers()).not.toContain(user.username);
      });

      it('whose name is taken is refused, and the one that has it stays as it is', async () => {
        const admin = await session();
        const statements = custom();
        const user = await mint(admin, statements);
        for (const others of [statements, templateOf('readonly')]) {
          const error = await refusal(
            admin.createUser({ ...user, password: generatePassword(systemRandom) }, others),
          );
          expect([error.type, error.reason]).toEqual(['database_error', 'username_taken']);
        }
        await firstAct().run(await logIn(user));
      });

      it('lives on where its end is put off', async () => {
        const admin = await session();
        const statements = templateOf('readonly');
        await admin.ensureGroupRole(statements.group);
        const user = newUser(statements, Date.now() - 60_000);
        await admin.createUser(user, statements);
        if (fixture.expiresByItself) await refusesLogIn(user);
        await admin.renewUser(user.username, Date.now() + 3_600_000);
        await firstAct().run(await logIn(user));
      });
    });

    describe('the drop', () => {
      it('ends the open sessions and the log-in', async (context) => {
        if (fixture.rolesNotEnforced !== null) return context.skip(fixture.rolesNotEnforced);
        const admin = await session();
        const statements = templateOf('readwrite');
        await admin.ensureGroupRole(statements.group);
        const user = await mint(admin, statements);
        const guests = [await logIn(user), await logIn(user), await logIn(user)];
        for (const guest of guests) await firstAct().run(guest);
        await admin.dropUser(user.username, statements);
        for (const guest of guests) await expect(firstAct().run(guest)).rejects.toThrow();
        await refusesLogIn(user);
        expect(await fixture.userExists(user.username)).toBe(false);
      });

      it.each(['template', 'custom'])(
        'of an absent user is success, and so is the second (%s)',
        async (kind) => {
          const admin = await session();
          const statements = kind === 'custom' ? custom() : templateOf('readonly');
          await admin.dropUser(generateUsername(systemRandom), statements);
          if (statements.group !== null) await admin.ensureGroupRole(statements.group);
          const user = await mint(admin, statements);
          await admin.dropUser(user.username, statements);
          await admin.dropUser(user.username, statements);
          expect(await fixture.userExists(user.username)).toBe(false);
        },
      );

      it.each(['template', 'custom'])('by two at once is success for both (%s)', async (kind) => {
        const [one, two] = [await session(), await session()];
        const statements = kind === 'custom' ? custom() : templateOf('readonly');
        if (statements.group !== null) await one.ensureGroupRole(statements.group);
        const user = await mint(one, statements);
        const drops = await Promise.allSettled([
          one.dropUser(user.username, statements),
          two.dropUser(user.username, statements),
        ]);
        // Whoever comes too late for a lock may be told to come again, never that it cannot be done.
        for (const drop of drops) {
          if (drop.status === 'rejected')
            expect(drop.reason).toMatchObject({ type: 'dependency_unavailable' });
        }
        await one.dropUser(user.username, statements);
        expect(await fixture.userExists(user.username)).toBe(false);
      });

      it.each(['template', 'custom'])('removes a user that was made by half (%s)', async (kind) => {
        const admin = await session();
        const statements = kind === 'custom' ? custom() : templateOf('readwrite');
        const username = generateUsername(systemRandom);
        await fixture.makeHalfUser(username);
        await admin.dropUser(username, statements);
        expect(await fixture.userExists(username)).toBe(false);
      });

      it('keeps what the user owned', async (context) => {
        const { ownership } = fixture;
        if (ownership === null) return context.skip('users of this engine own nothing');
        const admin = await session();
        const statements = templateOf('readwrite');
        await admin.ensureGroupRole(statements.group);
        const user = await mint(admin, statements);
        await ownership.make(await logIn(user));
        await admin.dropUser(user.username, statements);
        expect(await fixture.userExists(user.username)).toBe(false);
        expect(await ownership.isThere()).toBe(true);
      });
    });

    describe('a group role', () => {
      it('is made twice, and at once by several, without a clash', async () => {
        const sessions = await Promise.all(Array.from({ length: 4 }, () => session()));
        const [read, write] = [templateOf('readonly'), templateOf('readwrite')];
        await Promise.all(
          sessions.map((admin, index) => admin.ensureGroupRole(index % 2 === 0 ? read.group : write.group)),
        );
        await sessions[0]!.ensureGroupRole(read.group);
        for (const statements of [read, write]) {
          await firstAct().run(await logIn(await mint(sessions[0]!, statements)));
        }
      });

      it('is one of several on a server: the drop of one leaves the others', async () => {
        const admin = await session();
        const [stays, goes] = [templateOf('readonly'), templateOf('readonly')];
        await admin.ensureGroupRole(stays.group);
        await admin.ensureGroupRole(goes.group);
        await admin.dropGroupRole(goes.group);
        await admin.dropGroupRole(goes.group);
        const guest = await logIn(await mint(admin, stays));
        await firstAct().run(guest);
      });

      it('that is not there is made by the mint', async () => {
        const admin = await session();
        const guest = await logIn(await mint(admin, templateOf('readonly')));
        await firstAct().run(guest);
      });
    });

    describe('the admin', () => {
      it('is told by the server which version it is, and has nothing to complain of', async () => {
        const admin = await session();
        expect(admin.serverVersion).toMatch(/^\d+/);
        expect(await admin.missingGrant()).toBe(null);
        expect(await admin.warnings()).toEqual(expect.any(Array));
      });

      it('with the wrong password is refused', async () => {
        const adminPassword = generatePassword(systemRandom);
        secrets.push(adminPassword.reveal());
        const error = await refusal(session({ ...fixture.target, adminPassword }));
        expect(error.type).toBe('database_error');
      });

      it('that may not create users is told which grant is missing', async (context) => {
        if (fixture.rolesNotEnforced !== null) return context.skip(fixture.rolesNotEnforced);
        const admin = await session(fixture.powerless.target);
        const missing = await admin.missingGrant();
        expect(missing?.hint).toMatch(fixture.powerless.hint);
        const user = newUser(custom());
        expect((await refusal(admin.createUser(user, custom()))).type).toBe('database_error');
        expect(await fixture.userExists(user.username)).toBe(false);
      });

      it('takes another password', async () => {
        const next = generatePassword(systemRandom);
        secrets.push(next.reveal());
        await (await session()).changeAdminPassword(next);
        try {
          expect((await refusal(session())).type).toBe('database_error');
        } finally {
          const changed = await session({ ...fixture.target, adminPassword: next });
          await changed.changeAdminPassword(fixture.target.adminPassword);
        }
        await session();
      });
    });

    describe('a server that does not answer', () => {
      let relay: Relay;
      const behindRelay = () => ({ ...fixture.target, port: relay.port });
      const soon = () => ({ ...behindRelay(), statementTimeoutMs: 1_000 });
      beforeEach(async () => {
        relay = await startRelay(fixture.target);
      });
      afterEach(() => relay.close());

      it('from the start ends with the connect time-out', async () => {
        relay.silence();
        const error = await refusal(session({ ...behindRelay(), connectTimeoutMs: 300 }));
        expect(error).toMatchObject({
          type: 'dependency_unavailable',
          retryAfterSeconds: expect.any(Number),
        });
      });

      it('from the start ends with the signal', async () => {
        relay.silence();
        const stop = new AbortController();
        const act = session(behindRelay(), dialingTransport(), stop.signal);
        stop.abort(new AppError('dependency_unavailable', 'stopped'));
        expect((await refusal(act)).message).toBe('stopped');
      });

      it('any more ends with the statement time-out, and is closed all the same', async () => {
        const admin = await session(soon());
        relay.silence();
        expect((await refusal(admin.mintedUsers())).type).toBe('dependency_unavailable');
        expect((await refusal(admin.mintedUsers())).type).toBe('dependency_unavailable');
        await admin.close();
      });

      it('any more is closed while nothing runs', async () => {
        const admin = await session(soon());
        relay.silence();
        await admin.close();
      });

      it('and is gone is unavailable, not broken', async () => {
        const admin = await session(soon());
        await relay.refuse();
        expect((await refusal(admin.mintedUsers())).type).toBe('dependency_unavailable');
        await admin.close();
        await relay.restore();
      });
    });

    it('a server that speaks another protocol is refused or bounded', async () => {
      for (const word of ['HTTP/1.1 400 Bad Request\r\n\r\n', '\xff'.repeat(4096), 'SSH-2.0-x\r\n', '']) {
        const stranger = await strangerThatSays(word);
        const target = { ...fixture.target, port: stranger.port, connectTimeoutMs: 500 };
        const error = await refusal(session(target));
        expect(['database_error', 'dependency_unavailable']).toContain(error.type);
        await stranger.close();
      }
    });

    it('no error of all these holds a secret', () => {
      expect(errors.length).toBeGreaterThan(8);
      for (const error of errors) {
        const text = allTextOf(error);
        for (const secret of secrets) expect(text).not.toContain(secret);
      }
    });
  });
}

/** Everything of an error that a log or an answer could show. */
export function allTextOf(error: unknown): string {
  const texts = [inspect(error, { depth: 12, showHidden: true }), JSON.stringify(error), String(error)];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    texts.push(at.message, at.stack ?? '', inspect(Object.getOwnPropertyDescriptors(at), { depth: 6 }));
  }
  return texts.join('\n');
}

async function strangerThatSays(word: string): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.end(word, 'latin1');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
