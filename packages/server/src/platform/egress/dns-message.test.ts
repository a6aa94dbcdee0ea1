import * as dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIpAddress } from '../../kernel/ip-address.js';
import { decodeAnswer, encodeQuery, RECORD_TYPE } from './dns-message.js';

const NAME = 'api.example.com';

function response(answers: dnsPacket.Answer[], changes: Partial<dnsPacket.Packet> = {}): Buffer {
  return dnsPacket.encode({
    id: 7,
    type: 'response',
    questions: [{ name: NAME, type: 'A' }],
    answers,
    ...changes,
  });
}

const a = (name: string, data: string, ttl = 60) => ({ name, type: 'A', ttl, data });
const cname = (name: string, data: string, ttl = 60) => ({ name, type: 'CNAME', ttl, data });
const read = (message: Buffer) => {
  const answer = decodeAnswer(message, 7, NAME, RECORD_TYPE.A);
  return (
    answer && {
      addresses: answer.addresses.map(formatIpAddress),
      ttl: answer.ttlSeconds,
      rcode: answer.rcode,
    }
  );
};

it('a query is what dns-packet reads as one', () => {
  const query = dnsPacket.decode(encodeQuery(0xabcd, NAME, RECORD_TYPE.AAAA, true));
  expect(query).toMatchObject({
    id: 0xabcd,
    type: 'query',
    questions: [{ name: NAME, type: 'AAAA', class: 'IN' }],
  });
  expect(query.flags! & dnsPacket.RECURSION_DESIRED).toBeTruthy();
  expect(query.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }]);
  expect(dnsPacket.decode(encodeQuery(1, NAME, RECORD_TYPE.A, false)).additionals).toEqual([]);
});

describe('decodeAnswer', () => {
  it('follows the chain from the asked name and takes the least TTL', () => {
    const message = response([
      cname(NAME, 'a.example.net', 20),
      a('b.example.net', '1.1.1.1', 300),
      cname('a.example.net', 'b.example.net', 90),
    ]);
    expect(read(message)).toEqual({ addresses: ['1.1.1.1'], ttl: 20, rcode: 0 });
  });

  it('takes no address of a name that the chain does not lead to', () => {
    const message = response([
      a('other.example.com', '9.9.9.9'),
      a(NAME, '1.1.1.1'),
      a('example.com', '8.8.8.8'),
    ]);
    expect(read(message)?.addresses).toEqual(['1.1.1.1']);
  });

  it('ends in a loop of names', () => {
    expect(read(response([cname(NAME, 'x.example.com'), cname('x.example.com', NAME)]))?.addresses).toEqual(
      [],
    );
  });

  it('compares names without case', () => {
    const message = response([a('API.Example.COM', '1.1.1.1')], {
      questions: [{ name: 'API.example.com', type: 'A' }],
    });
    expect(read(message)?.addresses).toEqual(['1.1.1.1']);
  });

  it.each([
    ['another id', response([a(NAME, '1.1.1.1')], { id: 8 })],
    ['a query', response([a(NAME, '1.1.1.1')], { type: 'query' })],
    [
      'another name',
      response([a(NAME, '1.1.1.1')], { questions: [{ name: 'evil.example.com', type: 'A' }] }),
    ],
    ['another type', response([a(NAME, '1.1.1.1')], { questions: [{ name: NAME, type: 'AAAA' }] })],
    ['no question', response([a(NAME, '1.1.1.1')], { questions: [] })],
    ['cut short', response([a(NAME, '1.1.1.1')]).subarray(0, -2)],
    ['empty', Buffer.alloc(0)],
  ])('takes %s for no answer', (_what, message) => {
    expect(read(message)).toBeNull();
  });

  it('refuses a name that points at itself', () => {
    const message = response([a(NAME, '1.1.1.1')]);
    const answerAt = 12 + NAME.length + 2 + 4;
    const looped = Buffer.concat([
      message.subarray(0, answerAt),
      Buffer.from([0xc0, answerAt]),
      Buffer.alloc(14),
    ]);
    expect(read(looped)).toBeNull();
  });

  it('never throws and always ends, whatever the bytes', () => {
    const valid = response([cname(NAME, 'a.example.net'), a('a.example.net', '1.1.1.1')]);
    const mutated = fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 6 })
      .map((changes) => {
        const message = Buffer.from(valid);
        for (const [at, byte] of changes) message[at] = byte;
        return message;
      });
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b)),
        ),
        (message) => {
          const answer = decodeAnswer(message, 7, NAME, RECORD_TYPE.A);
          expect(answer === null || answer.addresses.every(({ family }) => family === 4)).toBe(true);
        },
      ),
      { numRuns: 20_000, seed: 12 },
    );
  });
});
