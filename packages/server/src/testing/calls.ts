import type { FastifyInstance } from 'fastify';
import type { TestKey } from './tenants.js';

export interface TestCall {
  readonly key?: TestKey | string;
  /** An admin token. */
  readonly token?: string;
  /** A step-up token, of `stepUpWith`. */
  readonly stepUp?: string;
  /** Default a plain address, where the key decides the mode. */
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The peer, default loopback. */
  readonly ip?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, in place of a body. */
  readonly payload?: string | Buffer;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  readonly text: string;
  readonly bytes: Buffer;
  /** An empty tree when the answer was no JSON. */
  readonly json: JsonTree;
}

/** Tests read members of answers of every shape; a wrong one fails there. */
export type JsonTree = ReturnType<typeof JSON.parse>;

export async function callInProcess(
  app: FastifyInstance,
  method: string,
  path: string,
  call: TestCall,
): Promise<TestAnswer> {
  const key = typeof call.key === 'object' ? call.key.apiKey : call.key;
  const credential = key ?? call.token;
  const payload = call.payload ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  const answer = await app.inject({
    method: method as 'GET',
    url: path,
    ...(call.ip === undefined ? {} : { remoteAddress: call.ip }),
    headers: {
      host: call.host ?? '127.0.0.1:8787',
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...(call.stepUp === undefined ? {} : { 'x-knoxcall-stepup': call.stepUp }),
      ...call.headers,
    },
    ...(payload === undefined ? {} : { payload }),
  });
  const isJson = String(answer.headers['content-type']).startsWith('application/json');
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.body,
    bytes: answer.rawPayload,
    json: isJson && answer.body !== '' ? answer.json() : {},
  };
}
