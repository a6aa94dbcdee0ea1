import { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

export interface LocalRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface LocalExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** As when a client leaves. */
  abort(): void;
}

/** A request that this server makes to itself, without a connection. What is written to the answer's body is dropped. */
export function createLocalExchange({ method, url, rawHeaders, body }: LocalRequest): LocalExchange {
  const connection = new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
  connection.on('error', () => {});
  const socket = connection as unknown as Socket;
  const request = new IncomingMessage(socket);
  request.method = method;
  request.url = url;
  request.httpVersion = '1.1';
  request.httpVersionMajor = 1;
  request.httpVersionMinor = 1;
  request.rawHeaders.push(...rawHeaders);
  request.headers = byName(rawHeaders);
  if (body.length > 0) request.push(body);
  request.push(null);
  request.complete = true;
  const response = new ServerResponse(request);
  response.assignSocket(socket);
  // Who reads an answer to its end waits for it to close.
  response.once('finish', () => connection.destroy());
  return {
    request,
    response,
    abort() {
      const lost = Object.assign(new Error('The request was broken off'), { code: 'ECONNRESET' });
      if (!response.destroyed) response.destroy(lost);
    },
  };
}

/** Node makes these of what its parser has counted. */
function byName(rawHeaders: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    headers[name] =
      headers[name] === undefined ? rawHeaders[i + 1]! : `${headers[name]}, ${rawHeaders[i + 1]}`;
  }
  return headers;
}
