import { type IpAddress, ipAddressFromBytes } from '../../kernel/ip-address.js';

/** What is asked for. RFC 1035 §4 and RFC 3596; EDNS(0) of RFC 6891 for the larger answer. */
export const RECORD_TYPE = { A: 1, TXT: 16, AAAA: 28 } as const;
export type RecordType = (typeof RECORD_TYPE)[keyof typeof RECORD_TYPE];

const CLASS_IN = 1;
const TYPE_CNAME = 5;
const TYPE_OPT = 41;
/** What passes every path unfragmented (DNS flag day 2020). */
const UDP_BYTES = 1232;
const CNAME_HOPS_MAX = 16;
const HEADER_BYTES = 12;

const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const OPCODE_MASK = 0x7800;

export interface DnsAnswer {
  readonly rcode: number;
  readonly isTruncated: boolean;
  readonly addresses: readonly IpAddress[];
  /** Of TXT records, the strings of each joined (RFC 1035 §3.3.14); bytes as latin1. */
  readonly texts: readonly string[];
  /** Where the chain of CNAMEs ends: the asked name where there is none. */
  readonly owner: string;
  /** The least of the chain's TTLs, seconds; 0 where nothing was found. */
  readonly ttlSeconds: number;
}

export function encodeQuery(id: number, name: string, type: RecordType, withEdns: boolean): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  const question = Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), label])),
    Buffer.from([0, 0, type, 0, CLASS_IN]),
  ]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(FLAG_RECURSION_DESIRED, 2);
  header.writeUInt16BE(1, 4);
  if (!withEdns) return Buffer.concat([header, question]);
  header.writeUInt16BE(1, 10);
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(TYPE_OPT, 1);
  opt.writeUInt16BE(UDP_BYTES, 3);
  return Buffer.concat([header, question, opt]);
}

/**
 * Null when the message is malformed or answers another question: it may be forged, so the caller goes on waiting.
 * Only records at the end of the CNAME chain that starts at the asked name count.
 */
export function decodeAnswer(message: Buffer, id: number, name: string, type: RecordType): DnsAnswer | null {
  try {
    return decode(message, id, name, type);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

interface Chain {
  readonly cnames: Map<string, { target: string; ttl: number }>;
  readonly records: Map<string, { data: Buffer; ttl: number }[]>;
}

function decode(message: Buffer, id: number, name: string, type: RecordType): DnsAnswer | null {
  const flags = message.readUInt16BE(2);
  if (message.readUInt16BE(0) !== id || !(flags & FLAG_RESPONSE) || flags & OPCODE_MASK) return null;
  if (message.readUInt16BE(4) !== 1) return null;
  const question = readName(message, HEADER_BYTES);
  const isOurs =
    question.name === name &&
    message.readUInt16BE(question.end) === type &&
    message.readUInt16BE(question.end + 2) === CLASS_IN;
  if (!isOurs) return null;
  const rcode = flags & 0xf;
  const isTruncated = (flags & FLAG_TRUNCATED) !== 0;
  const nothing = { addresses: [], texts: [], owner: name, ttlSeconds: 0 };
  if (isTruncated || rcode !== 0) return { rcode, isTruncated, ...nothing };
  const chain = readChain(message, question.end + 4, message.readUInt16BE(6), type);
  const { data, ...found } = followChain(chain, name);
  return type === RECORD_TYPE.TXT
    ? { rcode, isTruncated, ...found, addresses: [], texts: data.map(textOf) }
    : { rcode, isTruncated, ...found, addresses: data.map(addressOf), texts: [] };
}

function readChain(message: Buffer, from: number, count: number, type: RecordType): Chain {
  const chain: Chain = { cnames: new Map(), records: new Map() };
  let offset = from;
  for (let i = 0; i < count; i++) {
    const owner = readName(message, offset);
    const recordType = message.readUInt16BE(owner.end);
    const recordClass = message.readUInt16BE(owner.end + 2);
    const ttl = ttlOf(message.readUInt32BE(owner.end + 4));
    const length = message.readUInt16BE(owner.end + 8);
    const start = owner.end + 10;
    offset = start + length;
    if (offset > message.length) throw new RangeError('record beyond the message');
    if (recordClass !== CLASS_IN) continue;
    if (recordType === TYPE_CNAME) {
      chain.cnames.set(owner.name, { target: readName(message, start).name, ttl });
    } else if (recordType === type) {
      if (!isDataOf(type, message, start, length)) throw new RangeError('data of a wrong length');
      const record = { data: message.subarray(start, offset), ttl };
      const known = chain.records.get(owner.name);
      if (known) known.push(record);
      else chain.records.set(owner.name, [record]);
    }
  }
  return chain;
}

function isDataOf(type: RecordType, message: Buffer, start: number, length: number): boolean {
  if (type !== RECORD_TYPE.TXT) return length === (type === RECORD_TYPE.A ? 4 : 16);
  let at = start;
  while (at < start + length) at += 1 + message.readUInt8(at);
  return length > 0 && at === start + length;
}

function addressOf(data: Buffer): IpAddress {
  return ipAddressFromBytes(Uint8Array.prototype.slice.call(data));
}

function textOf(data: Buffer): string {
  let text = '';
  for (let at = 0; at < data.length; at += 1 + data[at]!)
    text += data.toString('latin1', at + 1, at + 1 + data[at]!);
  return text;
}

function followChain(
  chain: Chain,
  name: string,
): { data: readonly Buffer[]; owner: string; ttlSeconds: number } {
  let owner = name;
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (let hops = 0; hops <= CNAME_HOPS_MAX; hops++) {
    const found = chain.records.get(owner);
    if (found) {
      for (const { ttl } of found) ttlSeconds = Math.min(ttlSeconds, ttl);
      return { data: found.map(({ data }) => data), owner, ttlSeconds };
    }
    const cname = chain.cnames.get(owner);
    if (!cname) break;
    ttlSeconds = Math.min(ttlSeconds, cname.ttl);
    owner = cname.target;
  }
  return { data: [], owner, ttlSeconds: 0 };
}

/** RFC 2181 §8: the top bit set means zero. */
function ttlOf(raw: number): number {
  return raw > 0x7fff_ffff ? 0 : raw;
}

/** Lower case, without the root dot. Pointers must lead backwards, so that no message makes this loop. */
function readName(message: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = [];
  let offset = from;
  let end = -1;
  let lowest = from;
  let bytes = 0;
  for (;;) {
    const length = message.readUInt8(offset);
    if (length >= 0xc0) {
      const target = message.readUInt16BE(offset) & 0x3fff;
      if (end === -1) end = offset + 2;
      if (target >= lowest) throw new RangeError('name pointer that does not lead backwards');
      lowest = target;
      offset = target;
    } else if (length > 63) {
      throw new RangeError('label of an unknown kind');
    } else if (length === 0) {
      return { name: labels.join('.'), end: end === -1 ? offset + 1 : end };
    } else {
      bytes += length + 1;
      if (bytes > 254 || offset + 1 + length > message.length) throw new RangeError('name too long');
      labels.push(message.toString('latin1', offset + 1, offset + 1 + length).toLowerCase());
      offset += 1 + length;
    }
  }
}
