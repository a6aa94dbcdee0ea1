import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CloudKey } from '../../capabilities/kms/cloud-key.js';
import type { AzureWorkload, CloudEndpoints } from '../../capabilities/kms/index.js';
import { startTlsUpstream, type TestCa } from '../tls-upstream.js';

/** One cloud's KMS and the service that says who its callers are, at addresses of this machine. */
export interface CloudService {
  readonly endpoints: Partial<CloudEndpoints>;
  /** What the server finds its own identity by. */
  readonly environment: Readonly<Record<string, string>>;
  /** What the server is told of itself where its client at the cloud does not read the environment. */
  readonly azureWorkload?: AzureWorkload;
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
  answers: 'as_asked' | 'throttled' | 'failing' | 'expired' | 'broken' | 'short_key' | Hostile;
  /** Of who says who its callers are. */
  identityAnswers: 'as_asked' | Hostile;
}

/** What something that is not the cloud may answer in its place. */
export type Hostile = 'silent' | 'huge' | 'drip' | 'html' | 'redirect';

const HUGE_BYTES = 1024 * 1024;
const PAGE = '<html><body>Sign in to this network</body></html>';

export function hostileAnswer(answers: string): EmulatorAnswer | null | undefined {
  if (answers === 'silent') return null;
  if (answers === 'huge') return json(200, { value: 'A'.repeat(HUGE_BYTES) });
  if (answers === 'drip') return { status: 200, body: '', isEndless: true };
  if (answers === 'html') return { status: 200, type: 'text/html', body: PAGE };
  if (answers === 'redirect') {
    return {
      status: 307,
      type: 'text/html',
      body: PAGE,
      headers: { location: 'https://elsewhere.emulator.test/' },
    };
  }
  return undefined;
}

export function freshState(): EmulatorState {
  return {
    mayEncrypt: true,
    mayDecrypt: true,
    isEnabled: true,
    isTrusted: true,
    asksForExternalId: true,
    answers: 'as_asked',
    identityAnswers: 'as_asked',
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
  /** Byte after byte, until the client has enough. */
  readonly isEndless?: boolean;
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
  const { status, type = 'application/json', body, headers, isEndless = false } = answered;
  if (isEndless) return drip(response.writeHead(status, { 'content-type': type }));
  response
    .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers })
    .end(body);
}

export function plaintextOf({ answers }: EmulatorState, plaintext: Buffer): Buffer {
  return answers === 'short_key' ? plaintext.subarray(0, -1) : plaintext;
}

function drip(response: ServerResponse): void {
  if (response.destroyed) return;
  response.write(' ');
  setImmediate(() => drip(response));
}

export function json(status: number, body: object): EmulatorAnswer {
  return { status, body: JSON.stringify(body) };
}
