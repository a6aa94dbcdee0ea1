import { deflateSync } from 'node:zlib';
import { BSON } from 'mongodb';
import { framed, GARBAGE, type HostileServer, startHostileServer } from './hostile-server.js';
import type { IssuedCertificate } from './tls-upstream.js';

export interface HostileMongoOptions {
  readonly behaviour: /** Says that it is the primary of a set whose other members are `hosts`. */
    | 'advertises-members'
    /** Says that another is the primary: the first of `hosts`. */
    | 'names-another-primary'
    | 'garbage'
    | 'silent'
    /** Answers with a message that says it is 1 GiB long, and goes on. */
    | 'floods'
    /** Has the password hashed 4,294,967,295 times, as the greeting says or the first answer of the log-in. */
    | 'hashes-without-end-at-once'
    | 'hashes-without-end'
    /** Packs its answers by zlib although nobody has agreed to that: a few kilobytes could be gigabytes. */
    | 'compresses'
    /** Messages of no bytes. */
    | 'empty';
  /** `host:port`; 169.254.169.254:27017 when absent. */
  readonly hosts?: readonly string[];
  readonly setName?: string;
  /** TLS from the first byte; absent = none. */
  readonly certificate?: IssuedCertificate;
}

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_COMPRESSED = 2012;
const OP_MSG = 2013;

export async function startHostileMongo(options: HostileMongoOptions): Promise<HostileServer> {
  const { behaviour, certificate, hosts = ['169.254.169.254:27017'], setName = 'rs0' } = options;
  const server = await startHostileServer((line) => {
    if (certificate) line.startTls(certificate);
    const read = framed(lengthOf, (message) => {
      const requestId = message.readInt32LE(4);
      const opcode = message.readInt32LE(12);
      if (opcode !== OP_QUERY && opcode !== OP_MSG) return;
      if (behaviour === 'floods') {
        line.write(head(1024 ** 3, requestId, OP_MSG));
        return line.flood(() => GARBAGE);
      }
      const command = commandOf(message, opcode);
      const document = answerTo(command);
      const answer = opcode === OP_QUERY ? replyTo(requestId, document) : messageTo(requestId, document);
      line.write(behaviour === 'compresses' ? compressed(answer) : answer);
    });
    return {
      onData(bytes) {
        if (behaviour === 'garbage') line.write(GARBAGE);
        else if (behaviour === 'empty') line.write(Buffer.alloc(64));
        else if (behaviour !== 'silent') read(bytes);
      },
    };
  });

  function answerTo({ name, nonce }: { name: string; nonce: string }): BSON.Document {
    const conversation = { conversationId: 1, done: false, payload: firstAnswer(nonce), ok: 1 };
    if (/^(hello|ismaster)$/i.test(name))
      return behaviour === 'hashes-without-end-at-once' && nonce !== ''
        ? { ...hello(), speculativeAuthenticate: conversation }
        : hello();
    if (behaviour === 'hashes-without-end' && name === 'saslStart') return conversation;
    return { ok: 0, code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' };
  }

  function hello(): BSON.Document {
    const me = `127.0.0.1:${server.port}`;
    const isPrimary = behaviour === 'advertises-members';
    return {
      ok: 1,
      helloOk: true,
      isWritablePrimary: isPrimary,
      ismaster: isPrimary,
      secondary: !isPrimary,
      setName,
      setVersion: 1,
      hosts: [me, ...hosts],
      me,
      primary: isPrimary ? me : hosts[0],
      maxBsonObjectSize: 16_777_216,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      minWireVersion: 0,
      maxWireVersion: 21,
      saslSupportedMechs: ['SCRAM-SHA-256'],
    };
  }
  return server;
}

function lengthOf(bytes: Buffer): number | null {
  return bytes.length < 16 ? null : bytes.readInt32LE(0);
}

/** Its name is that of the first member of its document; a log-in stands beside a greeting or by itself. */
function commandOf(message: Buffer, opcode: number): { name: string; nonce: string } {
  // OP_QUERY: flags, name of the collection, skip, return. OP_MSG: flags, kind of the one section.
  const from = opcode === OP_QUERY ? message.indexOf(0, 20) + 1 + 8 : 21;
  const document = BSON.deserialize(message.subarray(from, from + message.readInt32LE(from)));
  const { payload } = document.speculativeAuthenticate ?? document;
  const nonce = /r=(.*)$/.exec(payload instanceof BSON.Binary ? payload.toString('utf8') : '')?.[1] ?? '';
  return { name: Object.keys(document)[0] ?? '', nonce };
}

function firstAnswer(nonce: string): BSON.Binary {
  const salt = Buffer.alloc(28, 1).toString('base64');
  return new BSON.Binary(Buffer.from(`r=${nonce}and-more,s=${salt},i=4294967295`));
}

/** OP_COMPRESSED by zlib. */
function compressed(message: Buffer): Buffer {
  const packed = deflateSync(message.subarray(16));
  const fields = Buffer.alloc(9);
  fields.writeInt32LE(message.readInt32LE(12), 0);
  fields.writeInt32LE(message.length - 16, 4);
  fields[8] = 2;
  const requestId = message.readInt32LE(8);
  return Buffer.concat([head(16 + 9 + packed.length, requestId, OP_COMPRESSED), fields, packed]);
}

function replyTo(requestId: number, document: BSON.Document): Buffer {
  const body = BSON.serialize(document);
  const fields = Buffer.alloc(20);
  fields.writeInt32LE(1, 16);
  return Buffer.concat([head(16 + 20 + body.length, requestId, OP_REPLY), fields, body]);
}

function messageTo(requestId: number, document: BSON.Document): Buffer {
  const body = BSON.serialize(document);
  return Buffer.concat([head(16 + 5 + body.length, requestId, OP_MSG), Buffer.alloc(5), body]);
}

function head(length: number, responseTo: number, opcode: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(length, 0);
  bytes.writeInt32LE(responseTo, 4);
  bytes.writeInt32LE(responseTo, 8);
  bytes.writeInt32LE(opcode, 12);
  return bytes;
}
