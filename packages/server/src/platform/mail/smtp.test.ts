import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { MAIL_USER, type MailServerOptions, startMailServer } from '../../testing/mail-server.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { createTestCa, type TestCa } from '../../testing/tls-upstream.js';
import { createLogger } from '../log/logger.js';
import { createLogMailer } from './mail.js';
import { openSmtpMailer } from './smtp.js';

const LINK = 'https://knox.example.com/admin/auth/magic-link#single-use-token';
const MAIL = { to: 'ada@example.com', subject: 'Sign in to KnoxCall', text: new Secret(`Open ${LINK}\n`) };

let ca: TestCa;
beforeAll(async () => {
  ca = await createTestCa();
});
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Rig extends Partial<MailServerOptions> {
  readonly url?: (port: number) => string;
  readonly extraCa?: string | null;
}

/** `mail.test` is no name of this machine: the client dials loopback as a stranger, so that it needs TLS. */
async function rig({
  url = (port) => `smtps://localhost:${port}`,
  extraCa = ca.caPem,
  ...options
}: Rig = {}) {
  const server = await startMailServer({ ca, ...options });
  closers.push(() => server.close());
  const clock = createManualClock();
  const lines: string[] = [];
  const told: ((line: string) => void)[] = [];
  const logger = createLogger('trace', {
    write(line) {
      lines.push(line);
      told.shift()?.(line);
    },
  });
  const mailer = openSmtpMailer({
    url: new Secret(url(server.port)),
    from: 'KnoxCall <knox@example.com>',
    extraCa,
    clock,
    logger,
  });
  closers.push(() => mailer.stop());
  const nextLine = () => new Promise<string>((resolve) => told.push(resolve));
  return { server, clock, lines, nextLine, mailer };
}

describe('a mail', () => {
  it('goes out under TLS, signed in, to one address, and nothing of it stands in the log', async () => {
    const { server, mailer, lines } = await rig({
      smtp: { secure: true },
      url: (port) =>
        `smtps://${encodeURIComponent(MAIL_USER.user)}:${encodeURIComponent(MAIL_USER.password)}@localhost:${port}`,
    });
    const arrived = server.next();
    mailer.send(MAIL);
    const { raw, ...mail } = await arrived;
    expect(mail).toEqual({
      from: 'knox@example.com',
      to: ['ada@example.com'],
      isSecure: true,
      user: MAIL_USER.user,
    });
    expect(raw).toContain('From: KnoxCall <knox@example.com>\r\nTo: ada@example.com\r\n');
    expect(raw).toContain('Subject: Sign in to KnoxCall\r\n');
    expect(raw).toContain(LINK);
    expect(lines).toEqual([]);
  });

  it('has no header and no recipient that its texts would like to add', async () => {
    const { server, mailer } = await rig({ smtp: { secure: true } });
    for (const mail of [
      { to: 'ada@example.com', subject: 'Hi\r\nBcc: eve@example.com\r\n\r\nbody' },
      { to: 'ada@example.com, eve@example.com', subject: 'two' },
      { to: 'ada@example.com>\r\nRCPT TO:<eve@example.com', subject: 'smuggled' },
      { to: 'A <ada@example.com>, eve@example.com', subject: 'list' },
    ])
      mailer.send({ ...mail, text: new Secret('x') });
    const arrived = server.next();
    mailer.send(MAIL);
    await arrived;
    await mailer.stop();
    expect(server.mails).toHaveLength(2);
    const heads = server.mails.map(({ raw }) => raw.slice(0, raw.indexOf('\r\n\r\n')));
    expect(heads.filter((head) => /^(bcc|cc):/im.test(head))).toEqual([]);
    expect(server.mails.flatMap(({ to }) => to).filter((to) => to === 'eve@example.com')).toEqual([]);
  });

  it('does not leave without TLS for a server elsewhere, nor for one that nobody vouches for', async () => {
    // A name that resolves to loopback, and is not taken for it.
    const plain = await rig({
      url: (port) => `smtp://127.1:${port}`,
      smtp: { disabledCommands: ['STARTTLS'] },
    });
    expect(new URL(`smtp://127.1:1`).hostname).toBe('127.1');
    const refused = plain.nextLine();
    plain.mailer.send(MAIL);
    expect(JSON.parse(await refused)).toMatchObject({ level: 'error', code: 'ETLS' });
    const unknown = await rig({ smtp: { secure: true }, extraCa: null });
    const untrusted = unknown.nextLine();
    unknown.mailer.send(MAIL);
    expect(JSON.parse(await untrusted)).toMatchObject({ level: 'warn', retry_in_seconds: 5 });
    expect([...plain.server.mails, ...unknown.server.mails]).toEqual([]);
  });

  it('may go to a relay on loopback in clear', async () => {
    const { server, mailer } = await rig({ url: (port) => `smtp://127.0.0.1:${port}` });
    const arrived = server.next();
    mailer.send(MAIL);
    expect(await arrived).toMatchObject({ isSecure: false });
  });
});

describe('a failed try', () => {
  it('is followed by others, of which each waits longer, and the log tells codes alone', async () => {
    let failures = 3;
    const { server, mailer, clock, nextLine, lines } = await rig({
      smtp: { secure: true },
      refuse: () => (failures-- > 0 ? { code: 451, text: `later, ada@example.com: ${LINK}` } : null),
    });
    mailer.send(MAIL);
    for (const seconds of [5, 60, 300]) {
      expect(JSON.parse(await nextLine())).toMatchObject({ response_code: 451, retry_in_seconds: seconds });
      clock.advance(seconds * 1000);
    }
    await (server.mails.length > 0 ? null : server.next());
    expect(server.mails).toHaveLength(1);
    expect(lines.join('')).not.toMatch(/ada|single-use|later/);
  });

  it('is the last where the server says no for good, or there were four', async () => {
    const codes = [550, 451, 451, 451, 451];
    const { mailer, clock, nextLine } = await rig({
      smtp: { secure: true },
      refuse: () => ({ code: codes.shift()!, text: 'no' }),
    });
    let line = nextLine();
    mailer.send(MAIL);
    expect(JSON.parse(await line)).toMatchObject({ level: 'error', response_code: 550 });
    line = nextLine();
    mailer.send(MAIL);
    for (let tries = 0; tries < 3; tries++) {
      expect(JSON.parse(await line)).toMatchObject({ level: 'warn' });
      line = nextLine();
      clock.advance(300_000);
    }
    expect(JSON.parse(await line)).toMatchObject({ level: 'error', response_code: 451 });
    expect(clock.timers()).toBe(0);
  });
});

describe('the queue', () => {
  /** Takes the connection and says nothing. */
  async function silentServer() {
    const server = createServer((socket) => socket.on('error', () => {}));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  it('is bounded, and a stop does not wait for a server that is silent', async () => {
    const port = await silentServer();
    const { mailer, clock, lines } = await rig({ url: () => `smtp://127.0.0.1:${port}` });
    for (let i = 0; i < 1_004; i++) mailer.send(MAIL);
    expect(lines.filter((line) => line.includes('too many mails wait'))).toHaveLength(2);
    const stopped = mailer.stop();
    clock.advance(2_000);
    await stopped;
    expect(lines.filter((line) => line.includes('"mails":1000'))).toHaveLength(1);
    mailer.send(MAIL);
    expect(clock.timers()).toBe(0);
  });
});

it('without a mail server the text is printed, for the operator to hand it on', () => {
  const lines: string[] = [];
  createLogMailer(createLogger('info', { write: (line) => lines.push(line) })).send(MAIL);
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'warn', to: MAIL.to, text: `Open ${LINK}\n` });
});
