import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import * as dnsPacket from 'dns-packet';

const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;
const UDP_BYTES_WITHOUT_EDNS = 512;

export interface DnsAnswers {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly txt?: readonly string[];
  readonly cname?: string;
  /** What the CNAME leads to is left to another question. */
  readonly leavesAlias?: true;
  /** Seconds; 60 when absent. */
  readonly ttl?: number;
  readonly rcode?: keyof typeof RCODES;
  /** Types that are asked in vain, or all of them. */
  readonly silent?: true | readonly ('A' | 'AAAA' | 'TXT')[];
}

export interface DnsQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: 'udp' | 'tcp';
}

/** A DNS server on loopback: UDP and TCP on one port, `NXDOMAIN` for what it was not told. */
export interface TestDnsServer {
  readonly address: '127.0.0.1';
  readonly port: number;
  /** Every query that arrived, silent ones too. */
  readonly queries: readonly DnsQuery[];
  /** Addresses alone are sorted into A and AAAA; null forgets the name. */
  set(name: string, answers: DnsAnswers | readonly string[] | null): void;
  close(): Promise<void>;
}

export async function startDnsServer(
  options: { records?: Record<string, DnsAnswers | readonly string[]> } = {},
): Promise<TestDnsServer> {
  const records = new Map<string, DnsAnswers>();
  const queries: DnsQuery[] = [];
  const connections = new Set<Socket>();

  const respond = (message: Buffer, transport: DnsQuery['transport']): Buffer | null => {
    const query = dnsPacket.decode(message);
    const question = query.questions?.[0];
    if (!question) return null;
    queries.push({ name: question.name, type: question.type, transport });
    const record = records.get(question.name.toLowerCase());
    const isSilent = record?.silent === true || record?.silent?.some((type) => type === question.type);
    return isSilent ? null : answer(query, question, record, transport);
  };

  const answer = (
    query: dnsPacket.Packet,
    question: dnsPacket.Question,
    record: DnsAnswers | undefined,
    transport: DnsQuery['transport'],
  ): Buffer => {
    const packet: dnsPacket.Packet = {
      id: query.id ?? 0,
      type: 'response',
      flags:
        dnsPacket.RECURSION_DESIRED |
        dnsPacket.RECURSION_AVAILABLE |
        RCODES[record ? (record.rcode ?? 'NOERROR') : 'NXDOMAIN'],
      questions: [question],
      answers: record ? chain(records, question) : [],
    };
    const encoded = dnsPacket.encode(packet);
    const bytesMax =
      query.additionals?.find(({ type }) => type === 'OPT')?.udpPayloadSize ?? UDP_BYTES_WITHOUT_EDNS;
    if (transport === 'tcp' || encoded.length <= bytesMax) return encoded;
    return dnsPacket.encode({
      ...packet,
      flags: packet.flags! | dnsPacket.TRUNCATED_RESPONSE,
      answers: [],
    });
  };

  const { udp, tcp, port } = await bindBoth();
  udp.on('message', (message, peer) => {
    const response = respond(message, 'udp');
    if (response) udp.send(response, peer.port, peer.address);
  });
  tcp.on('connection', (socket) => {
    connections.add(socket);
    socket.on('error', () => {}).on('close', () => connections.delete(socket));
    socket.once('data', (data) => {
      const response = respond(data.subarray(2), 'tcp');
      if (!response) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.end(Buffer.concat([length, response]));
    });
  });

  const server: TestDnsServer = {
    address: '127.0.0.1',
    port,
    queries,
    set(name, answers) {
      if (answers === null) records.delete(name.toLowerCase());
      else records.set(name.toLowerCase(), isAddressList(answers) ? byFamily(answers) : answers);
    },
    async close() {
      for (const socket of connections) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ]);
    },
  };
  for (const [name, answers] of Object.entries(options.records ?? {})) server.set(name, answers);
  return server;
}

function isAddressList(answers: DnsAnswers | readonly string[]): answers is readonly string[] {
  return Array.isArray(answers);
}

function byFamily(addresses: readonly string[]): DnsAnswers {
  return {
    a: addresses.filter((address) => !address.includes(':')),
    aaaa: addresses.filter((address) => address.includes(':')),
  };
}

/** The addresses of a name, with the CNAMEs that lead to them, as a recursive server gives them. */
function chain(records: ReadonlyMap<string, DnsAnswers>, question: dnsPacket.Question): dnsPacket.Answer[] {
  const answers: dnsPacket.Answer[] = [];
  let name = question.name;
  for (let hops = 0; hops < 32; hops++) {
    const record = records.get(name.toLowerCase());
    if (!record) break;
    const ttl = record.ttl ?? 60;
    answers.push(...dataOf(record, question.type).map((data) => ({ name, type: question.type, ttl, data })));
    if (!record.cname) break;
    answers.push({ name, type: 'CNAME', ttl, data: record.cname });
    if (record.leavesAlias) break;
    name = record.cname;
  }
  return answers;
}

function dataOf({ a = [], aaaa = [], txt = [] }: DnsAnswers, type: string): readonly string[] {
  if (type === 'TXT') return txt;
  return type === 'A' ? a : aaaa;
}

async function bindBoth(): Promise<{ udp: UdpSocket; tcp: Server; port: number }> {
  for (let attempt = 0; ; attempt++) {
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    const { port } = udp.address();
    const tcp = createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        tcp.once('error', reject).listen(port, '127.0.0.1', resolve);
      });
      return { udp, tcp, port };
    } catch (error) {
      udp.close();
      if (attempt === 9) throw error;
    }
  }
}
