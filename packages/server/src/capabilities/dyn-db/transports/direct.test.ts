import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatIpAddress, parseIpAddress } from '../../../kernel/ip-address.js';
import { parseTargetList, type TargetEntry } from '../../../platform/egress/database-targets.js';
import { type Dialer, tcpDialer } from '../../../platform/egress/dial.js';
import type { Resolution } from '../../../platform/egress/resolver.js';
import { recordingDialer, turns, until } from '../../../testing/egress-rig.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { createDirectTransport } from './direct.js';
import { createTargetPolicy } from './target-policy.js';

const NEVER = new AbortController().signal;

interface Options {
  readonly names?: Record<string, readonly string[] | 'silent'>;
  readonly dialer?: Dialer;
  readonly allow?: string;
  readonly own?: string;
}

function open({ names = {}, dialer = recordingDialer().dial, allow = '*', own = '' }: Options = {}) {
  const clock = createManualClock();
  const asked: string[] = [];
  const transport = createDirectTransport({
    clock,
    dialer,
    connectTimeoutMs: 10_000,
    policy: createTargetPolicy({
      allow: parseTargetList(allow) as readonly TargetEntry[],
      deny: [],
      nat64: false,
      isOwnEndpoint: (address, port) => `${formatIpAddress(address)}:${port}` === own,
    }),
    names: {
      resolve(name): Promise<Resolution> {
        asked.push(name);
        const answer = names[name];
        if (answer === 'silent') return new Promise(() => {});
        if (answer === undefined)
          return Promise.resolve({ kind: 'none', reason: 'no_such_name', detail: 'NXDOMAIN' });
        const addresses = answer.map((text) => parseIpAddress(text)!);
        return Promise.resolve({ kind: 'found', addresses, ttlMs: 0 });
      },
    },
  });
  return { transport, clock, asked };
}

/** Sockets that never connect. */
function silentDialer() {
  const sockets: Socket[] = [];
  const dialled: string[] = [];
  const dial: Dialer = ({ address, port }) => {
    dialled.push(`${address}:${port}`);
    sockets.push(new Socket());
    return sockets.at(-1)!;
  };
  return { dial, dialled, sockets };
}

describe('a direct way', () => {
  let server: Server;
  let port: number;
  const accepted: Socket[] = [];

  beforeEach(async () => {
    server = createServer((socket) => accepted.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });

  afterEach(async () => {
    for (const socket of accepted.splice(0)) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  it('opens a socket to the address that the name leads to', async () => {
    const { transport, asked } = open({ names: { db: ['127.0.0.1'] }, dialer: tcpDialer });
    const socket = await transport.open({ host: 'db', port }, NEVER);
    expect([socket.remoteAddress, socket.remotePort]).toEqual(['127.0.0.1', port]);
    await until(() => accepted.length === 1);
    // Judged once in an operation: what is asked again is not resolved again.
    expect((await transport.resolve({ host: 'db', port }, NEVER)).map(formatIpAddress)).toEqual([
      '127.0.0.1',
    ]);
    expect(asked).toEqual(['db']);
    // It is the caller's: closing the way leaves it open.
    await transport.close();
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  it('takes the next address where one refuses', async () => {
    const dialled: string[] = [];
    const dialer: Dialer = (target) => {
      dialled.push(target.address);
      return target.address === '127.0.0.1' ? tcpDialer(target) : new Socket().destroy(new Error('refused'));
    };
    const { transport } = open({ names: { db: ['fd00::1', '127.0.0.1'] }, dialer });
    (await transport.open({ host: 'db', port }, NEVER)).destroy();
    expect(dialled).toEqual(['fd00::1', '127.0.0.1']);
  });

  it('ends a connection that led elsewhere, before a byte is sent', async () => {
    const sockets: Socket[] = [];
    const dialer: Dialer = (target) => {
      sockets.push(tcpDialer({ ...target, address: '127.0.0.1' }));
      return sockets.at(-1)!;
    };
    const { transport } = open({ names: { db: ['10.1.2.3'] }, dialer });
    await expect(transport.open({ host: 'db', port }, NEVER)).rejects.toMatchObject({
      type: 'ssrf_blocked',
      reason: 'peer_not_judged',
    });
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true]);
  });
});

describe('what is refused is never dialled', () => {
  it.each([
    ['rebound', ['169.254.169.254'], 'metadata'],
    ['both', ['10.1.2.3', 'fe80::1'], 'link_local'],
    ['mapped', ['::ffff:169.254.169.254'], 'embedded_ipv4'],
    ['own', ['10.9.9.9'], 'own_listener'],
    ['many', Array(65).fill('10.1.2.3'), 'too_many_addresses'],
  ])('%s', async (host, addresses, reason) => {
    const recorder = recordingDialer();
    const { transport } = open({
      names: { [host]: addresses },
      dialer: recorder.dial,
      own: '10.9.9.9:5432',
    });
    const refusal = { type: 'ssrf_blocked', reason };
    await expect(transport.open({ host, port: 5432 }, NEVER)).rejects.toMatchObject(refusal);
    await expect(transport.resolve({ host, port: 5432 }, NEVER)).rejects.toMatchObject(refusal);
    expect(recorder.dialled).toEqual([]);
  });

  it.each([
    ['169.254.169.254', 'metadata'],
    ['10.9.9.9', 'own_listener'],
    ['metadata.google.internal', 'target_not_allowed'],
    ['0x7f.1', 'host_not_judged'],
    ['mongodb+srv://db', 'host_not_judged'],
    ['other', 'target_not_allowed'],
  ])('a host that a server advertises, %s, and no name server hears of it', async (host, reason) => {
    const recorder = recordingDialer();
    const { transport, asked } = open({
      dialer: recorder.dial,
      allow: host === 'other' ? 'db' : '*',
      own: '10.9.9.9:5432',
    });
    await expect(transport.open({ host, port: 5432 }, NEVER)).rejects.toMatchObject({
      type: 'ssrf_blocked',
      reason,
    });
    expect([recorder.dialled, asked]).toEqual([[], []]);
  });

  it('nor is a host beyond the fiftieth of an operation', async () => {
    const { transport } = open();
    for (let i = 1; i <= 50; i++) await transport.resolve({ host: `10.0.0.${i}`, port: 27_017 }, NEVER);
    await transport.resolve({ host: '10.0.0.1', port: 27_017 }, NEVER);
    await expect(transport.resolve({ host: '10.0.0.51', port: 27_017 }, NEVER)).rejects.toMatchObject({
      type: 'ssrf_blocked',
      reason: 'too_many_targets',
    });
  });

  it('a name that changes within an operation is dialled as judged', async () => {
    const recorder = recordingDialer();
    const names: Record<string, string[]> = { db: ['10.1.2.3'] };
    const { transport } = open({ names, dialer: recorder.dial });
    await transport.resolve({ host: 'db', port: 27_017 }, NEVER);
    names.db = ['169.254.169.254'];
    await expect(transport.open({ host: 'db', port: 27_017 }, NEVER)).rejects.toMatchObject({
      type: 'dependency_unavailable',
    });
    expect(recorder.dialled.map(({ address }) => address)).toEqual(['10.1.2.3']);
  });
});

describe('what does not answer', () => {
  const unavailable = { type: 'dependency_unavailable', dependency: 'target_database', retryAfterSeconds: 5 };

  it('a name that does not exist', async () => {
    const { transport } = open();
    await expect(transport.open({ host: 'nowhere', port: 5432 }, NEVER)).rejects.toMatchObject({
      ...unavailable,
      publicMessage: "The name of the database's host does not exist",
    });
  });

  it('is told without its address, of at most four tries', async () => {
    const recorder = recordingDialer();
    const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'];
    const { transport } = open({ names: { db: addresses }, dialer: recorder.dial });
    await expect(transport.open({ host: 'db', port: 5432 }, NEVER)).rejects.toMatchObject({
      ...unavailable,
      publicMessage: 'No connection to the database',
      detail: expect.stringContaining('10.0.0.4:5432'),
    });
    expect(recorder.dialled.map(({ address }) => address)).toEqual(addresses.slice(0, 4));
  });

  it('an address with others behind it has three seconds, the last one the rest of the time', async () => {
    const silent = silentDialer();
    const { transport, clock } = open({ names: { db: ['10.0.0.1', '10.0.0.2'] }, dialer: silent.dial });
    const attempt = expect(transport.open({ host: 'db', port: 5432 }, NEVER)).rejects.toMatchObject({
      ...unavailable,
      publicMessage: 'The database could not be connected to in time',
    });
    await until(() => silent.dialled.length === 1);
    clock.advance(3_000);
    await until(() => silent.dialled.length === 2);
    clock.advance(6_999);
    await turns(20);
    expect(silent.sockets.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    clock.advance(1);
    await attempt;
    expect(silent.sockets.map(({ destroyed }) => destroyed)).toEqual([true, true]);
  });

  it('a silent name server, within the same time', async () => {
    const { transport, clock, asked } = open({ names: { db: 'silent' } });
    const attempt = expect(transport.resolve({ host: 'db', port: 5432 }, NEVER)).rejects.toMatchObject(
      unavailable,
    );
    await until(() => asked.length === 1);
    clock.advance(10_000);
    await attempt;
  });

  it('is given up when the signal says so, with its reason, and nothing stays open', async () => {
    const silent = silentDialer();
    const { transport } = open({
      names: { db: ['10.0.0.1', '10.0.0.2'], slow: 'silent' },
      dialer: silent.dial,
    });
    const reason = new Error('the act took too long');
    const controller = new AbortController();
    const attempts = [
      expect(transport.open({ host: 'db', port: 5432 }, controller.signal)).rejects.toBe(reason),
      expect(transport.resolve({ host: 'slow', port: 5432 }, controller.signal)).rejects.toBe(reason),
    ];
    await until(() => silent.dialled.length === 1);
    controller.abort(reason);
    await Promise.all(attempts);
    expect(silent.sockets.map(({ destroyed }) => destroyed)).toEqual([true]);
    await expect(transport.open({ host: 'db', port: 5432 }, controller.signal)).rejects.toBe(reason);
    expect(silent.dialled).toEqual(['10.0.0.1:5432']);
  });

  it('is given up when the way is closed', async () => {
    const silent = silentDialer();
    const { transport } = open({ names: { db: ['10.0.0.1'] }, dialer: silent.dial });
    const attempt = expect(transport.open({ host: 'db', port: 5432 }, NEVER)).rejects.toMatchObject(
      unavailable,
    );
    await until(() => silent.dialled.length === 1);
    await transport.close();
    await attempt;
    expect(silent.sockets[0]!.destroyed).toBe(true);
  });
});
