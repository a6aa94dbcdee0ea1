import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CloudKey } from '../../capabilities/kms/cloud-key.js';
import type { CloudEndpoints } from '../../capabilities/kms/index.js';
import { startTlsUpstream, type TestCa } from '../tls-upstream.js';

/** One cloud's KMS and the service that says who its callers are, at addresses of this machine. */
export interface CloudService {
  readonly endpoints: Partial<CloudEndpoints>;
  /** What the server finds its own identity by. */
  readonly environment: Readonly<Record<string, string>>;
  /** Names of the services, for a DNS server. */
  readonly hosts: readonly string[];
  close(): Promise<void>;
}

/** One of ours; it speaks the cloud's own protocol. */
export interface CloudEmulator extends CloudService {
  readonly key: CloudKey;
  /** Of the same owner. */
  readonly otherKey: CloudKey;
  readonly state: EmulatorState;
  /** What was asked, in order: `identity`, `encrypt`, `decrypt`. */
  readonly calls: readonly string[];
  /** Plaintexts, tokens and secrets that no error may name. */
  readonly secrets: readonly string[];
}

export interface EmulatorState {
  mayEncrypt: boolean;
  mayDecrypt: boolean;
  isEnabled: boolean;
  /** Whether the server is let at the owner's identity. */
  isTrusted: boolean;
  /** Of AWS: whether the role asks for the external id. */
  asksForExternalId: boolean;
  /** Of the KMS. */
  answers: 'as_asked' | 'throttled' | 'failing' | 'silent' | 'broken';
}

export function freshState(): EmulatorState {
  return {
    mayEncrypt: true,
    mayDecrypt: true,
    isEnabled: true,
    isTrusted: true,
    asksForExternalId: true,
    answers: 'as_asked',
  };
}

export interface EmulatorRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawBody: Buffer;
}

export interface EmulatorAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Null = the request is left without an answer. */
export type Answer = (request: EmulatorRequest) => EmulatorAnswer | null;

export async function startEmulatorServer(ca: TestCa, names: readonly string[], answer: Answer) {
  return startTlsUpstream({
    ca,
    names,
    handler(request, response) {
      respond(request, response, answer).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    },
  });
}

async function respond(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const answered = answer({
    method: request.method ?? '',
    host: request.headers.host ?? '',
    path,
    query,
    headers: request.headers as Record<string, string>,
    rawBody: Buffer.concat(chunks),
  });
  if (answered === null) return;
  const { status, type = 'application/json', body, headers } = answered;
  response
    .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers })
    .end(body);
}

export function json(status: number, body: object): EmulatorAnswer {
  return { status, body: JSON.stringify(body) };
}
