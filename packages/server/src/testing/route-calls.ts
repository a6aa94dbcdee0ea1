import { request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { WholeServer } from './whole-server.js';

export interface RouteCall {
  readonly host?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly method?: string;
  readonly body?: string | Buffer;
  /** Null: none; absent: the live key of the tenant. */
  readonly key?: string | null;
}

export interface RouteAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** One call of a route, on a connection of its own. */
export async function callRoute(
  server: WholeServer,
  path: string,
  { host, headers, method = 'GET', body, key }: RouteCall = {},
): Promise<RouteAnswer> {
  const request = httpRequest({
    host: '127.0.0.1',
    port: server.port,
    agent: false,
    path,
    method,
    headers: {
      ...(key === null ? {} : { 'x-knoxcall-key': key ?? server.bootstrap.live_api_key }),
      ...(host === undefined ? {} : { host }),
      // Node frames no body of a GET or a DELETE by itself.
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      ...headers,
    },
  });
  request.end(body);
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    request.on('response', resolve).on('error', reject),
  );
  const text = (await buffer(response)).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

/** Its type where it is one of ours. */
export function errorType({ text }: RouteAnswer): string | undefined {
  return text.startsWith('{"error":{') ? JSON.parse(text).error.type : undefined;
}
