import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect } from 'node:net';
import type { Clock } from '../../kernel/clock.js';
import type { IpAddress } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { type DnsAnswer, decodeAnswer, encodeQuery, RECORD_TYPE, type RecordType } from './dns-message.js';
import { isDnsName } from './name-policy.js';

export interface DnsServer {
  readonly address: string;
  readonly port: number;
}

export type Resolution =
  | { readonly kind: 'found'; readonly addresses: readonly IpAddress[]; readonly ttlMs: number }
  | {
      readonly kind: 'none';
      readonly reason: 'no_such_name' | 'no_address' | 'servers_failed';
      readonly detail: string;
    };

/**
 * The guard's own DNS client. The system's look-up shares four threads with file access, reads /etc/hosts and the
 * search list; c-ares doubles its time-out and has no clock of ours. Here each look-up has its own socket (so its own
 * random port), nothing shared, and ends after two tries of two seconds.
 */
export interface Resolver {
  resolve(name: string): Promise<Resolution>;
}

export type TextResolution =
  | { readonly kind: 'found'; readonly texts: readonly string[] }
  | {
      readonly kind: 'none';
      readonly reason: 'no_such_name' | 'no_text' | 'servers_failed';
      readonly detail: string;
    };

/** The same client, asked for TXT records. */
export interface TextResolver {
  /** Follows CNAMEs, also those whose end the server leaves out of its answer. */
  texts(name: string): Promise<TextResolution>;
}

/** Questions for one name: each is asked where the chain of the one before it ended. */
const ALIAS_QUESTIONS_MAX = 8;

type Outcome = DnsAnswer | 'silent';
const RCODE_OK = 0;
const RCODE_NXDOMAIN = 3;

export function createResolver(deps: {
  clock: Clock;
  servers: readonly DnsServer[] | null;
}): Resolver & TextResolver {
  const servers = deps.servers ?? systemServers();
  return {
    async texts(asked) {
      if (servers.length === 0)
        return { kind: 'none', reason: 'servers_failed', detail: 'no name server is known' };
      let name = asked;
      for (let question = 0; question < ALIAS_QUESTIONS_MAX; question++) {
        const outcome = await askInTurn(deps.clock, servers, name, RECORD_TYPE.TXT);
        if (outcome === 'silent') return { kind: 'none', reason: 'servers_failed', detail: 'silent' };
        if (outcome.texts.length > 0) return { kind: 'found', texts: outcome.texts };
        if (outcome.owner === name || !isDnsName(outcome.owner)) return noTexts(outcome);
        name = outcome.owner;
      }
      return { kind: 'none', reason: 'servers_failed', detail: 'too many CNAMEs' };
    },

    async resolve(name) {
      if (servers.length === 0)
        return { kind: 'none', reason: 'servers_failed', detail: 'no name server is known' };
      const [v4, v6] = await Promise.all([
        askInTurn(deps.clock, servers, name, RECORD_TYPE.A),
        askInTurn(deps.clock, servers, name, RECORD_TYPE.AAAA),
      ]);
      return resolutionOf(v4, v6);
    },
  };
}

/** One family in hand is enough to go on: the other has no address that could be dialled. */
function resolutionOf(v4: Outcome, v6: Outcome): Resolution {
  const answers = [v4, v6].filter((outcome) => outcome !== 'silent');
  const filled = answers.filter((answer) => answer.rcode === RCODE_OK && answer.addresses.length > 0);
  if (filled.length > 0) {
    const ttlSeconds = Math.min(...filled.map((answer) => answer.ttlSeconds));
    return {
      kind: 'found',
      addresses: filled.flatMap((answer) => answer.addresses),
      ttlMs: ttlSeconds * 1000,
    };
  }
  if (answers.some(({ rcode }) => rcode === RCODE_NXDOMAIN)) {
    return { kind: 'none', reason: 'no_such_name', detail: 'NXDOMAIN' };
  }
  if (answers.length === 2 && answers.every(({ rcode }) => rcode === RCODE_OK)) {
    return { kind: 'none', reason: 'no_address', detail: 'neither A nor AAAA' };
  }
  const detail = [v4, v6]
    .map((outcome) => (outcome === 'silent' ? 'silent' : `rcode ${outcome.rcode}`))
    .join(', ');
  return { kind: 'none', reason: 'servers_failed', detail };
}

function noTexts({ rcode }: DnsAnswer): TextResolution {
  if (rcode === RCODE_NXDOMAIN) return { kind: 'none', reason: 'no_such_name', detail: 'NXDOMAIN' };
  if (rcode === RCODE_OK) return { kind: 'none', reason: 'no_text', detail: 'no TXT' };
  return { kind: 'none', reason: 'servers_failed', detail: `rcode ${rcode}` };
}

/** Two tries, the second at the next server, if there is one, and without EDNS, which old servers refuse. */
async function askInTurn(
  clock: Clock,
  servers: readonly DnsServer[],
  name: string,
  type: RecordType,
): Promise<Outcome> {
  let outcome: Outcome = 'silent';
  for (let attempt = 0; attempt < LIMITS.dnsTries; attempt++) {
    const server = servers[attempt % servers.length]!;
    outcome = await ask(clock, server, { name, type, withEdns: attempt === 0 });
    if (outcome !== 'silent' && (outcome.rcode === RCODE_OK || outcome.rcode === RCODE_NXDOMAIN)) break;
  }
  return outcome;
}

interface Question {
  readonly name: string;
  readonly type: RecordType;
  readonly withEdns: boolean;
}

/** One try: UDP, then TCP for a truncated answer (RFC 7766 §5), both within the one time. */
function ask(clock: Clock, server: DnsServer, question: Question): Promise<Outcome> {
  return new Promise((resolve) => {
    let close = () => {};
    const settle = (outcome: Outcome) => {
      cancelTimer();
      close();
      resolve(outcome);
    };
    const cancelTimer = clock.setTimer(LIMITS.dnsTryMs, () => settle('silent'));
    close = askByUdp(server, question, (outcome) => {
      if (outcome === 'silent' || !outcome.isTruncated) return settle(outcome);
      close();
      close = askByTcp(server, question, settle);
    });
  });
}

/** Both return what ends the attempt early. The callback is called at most once, and never after that. */
type Transport = (server: DnsServer, question: Question, done: (outcome: Outcome) => void) => () => void;

const askByUdp: Transport = (server, { name, type, withEdns }, done) => {
  const id = randomInt(0x1_0000);
  const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4');
  let isOpen = true;
  const close = () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  const fail = () => {
    if (isOpen) done('silent');
  };
  socket.on('error', fail);
  socket.on('message', (message) => {
    const answer = isOpen ? decodeAnswer(message, id, name, type) : null;
    if (answer) done(answer);
  });
  // A connected socket takes datagrams of that server and port only. Without a way to it the error comes here.
  socket.connect(server.port, server.address, (unreachable?: Error) => {
    if (unreachable) fail();
    else if (isOpen) socket.send(encodeQuery(id, name, type, withEdns), (error) => error && fail());
  });
  return close;
};

const askByTcp: Transport = (server, { name, type }, done) => {
  const id = randomInt(0x1_0000);
  const socket = connect({ host: server.address, port: server.port });
  let received = Buffer.alloc(0);
  const close = () => {
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.destroy();
  };
  socket.on('connect', () => {
    const query = encodeQuery(id, name, type, false);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const answer = decodeAnswer(received.subarray(2, 2 + received.readUInt16BE(0)), id, name, type);
    done(answer && !answer.isTruncated ? answer : 'silent');
  });
  socket.on('error', () => done('silent'));
  socket.on('end', () => done('silent'));
  return close;
};

/** The servers of /etc/resolv.conf, as `ip`, `ip:port` or `[ip]:port`. */
function systemServers(): DnsServer[] {
  return getServers().map((text) => {
    const match = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text);
    return match ? { address: (match[1] ?? match[2])!, port: Number(match[3]) } : { address: text, port: 53 };
  });
}
