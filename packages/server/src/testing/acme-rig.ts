import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jobDefinitions } from '../app/jobs.js';
import type { Database } from '../platform/storage/database.js';
import { type AcmeSigner, createAcmeSigner, externalBinding } from './acme-signer.js';
import type { OpenTestDatabase } from './databases.js';
import { startDnsServer, type TestDnsServer } from './dns-server.js';
import { openInstallation, type TestInstallation } from './installation.js';

export interface RigRole {
  readonly root: string;
  readonly role: string;
  readonly rootId: string;
  readonly roleId: string;
  readonly directoryUrl: string;
  /** Of the management API. */
  readonly keysPath: string;
}

export interface AcmeReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read members of answers of every shape; a wrong one fails there.
  readonly json: any;
}

export interface RigExternalKey {
  readonly kid: string;
  readonly hmacKey: string;
}

/** The server with ACME on a port of its own, and the names that it certifies: their DNS, and the host behind them. */
export interface AcmeRig {
  readonly installation: TestInstallation;
  readonly db: Database;
  readonly origin: string;
  readonly dns: TestDnsServer;
  readonly http01Port: number;
  /** What the host serves below `/.well-known/acme-challenge/`, by token. */
  readonly pages: Map<string, string>;
  /** Tokens that were asked for. */
  readonly asked: readonly string[];
  /** What the host waits for before it answers; null: nothing. */
  held: Promise<void> | null;
  role(terms?: Readonly<Record<string, unknown>>): Promise<RigRole>;
  externalKey(role: RigRole): Promise<RigExternalKey>;
  api(method: string, path: string, body?: unknown): ReturnType<TestInstallation['call']>;
  close(): Promise<void>;
}

const WELL_KNOWN = '/.well-known/acme-challenge/';

export interface AcmeRigOptions {
  readonly open?: OpenTestDatabase;
  /** False: what is enqueued stays until the test runs it. */
  readonly hasJobs?: boolean;
  readonly startMs?: number;
}

export async function openAcmeRig(options: AcmeRigOptions = {}): Promise<AcmeRig> {
  const dns = await startDnsServer();
  const pages = new Map<string, string>();
  const asked: string[] = [];
  const web = createServer(async ({ url = '' }, response) => {
    const token = url.startsWith(WELL_KNOWN) ? url.slice(WELL_KNOWN.length) : '';
    asked.push(token);
    await rig.held;
    const text = pages.get(token);
    response.writeHead(text === undefined ? 404 : 200).end(text);
  });
  const http01Port = await listen(web);
  let origin = '';
  const installation = await openInstallation({
    ...(options.open && { open: options.open }),
    ...(options.startMs !== undefined && { startMs: options.startMs }),
    publicUrl: () => origin,
    validation: { targets: '127.0.0.1/32', http01Port, dnsServers: [dns] },
  });
  origin = await installation.app.listen({ host: '127.0.0.1', port: 0 });
  const { services } = installation;
  if (options.hasJobs ?? true) await services.jobs.start(jobDefinitions(services));
  let made = 0;

  const api: AcmeRig['api'] = (method, path, body) =>
    installation.call(method, path, body === undefined ? {} : { body });

  async function post(path: string, body: unknown) {
    const { status, text, json } = await api('POST', path, body);
    if (status >= 300) throw new Error(`POST ${path}: ${status} ${text}`);
    return json.data;
  }

  const rig: AcmeRig = {
    installation,
    db: installation.db,
    origin,
    dns,
    http01Port,
    pages,
    asked,
    held: null,
    api,
    async role(terms = {}) {
      const [root, role] = [`root-${++made}`, `role-${made}`];
      const { root: row } = await post('/v1/pki/roots', { name: root, subject: { CN: `Root ${made}` } });
      const { id: roleId } = await post(`/v1/pki/roots/${root}/roles`, {
        role_name: role,
        allowed_domains: ['example.com'],
        allow_subdomains: true,
        allow_wildcards: true,
        allow_acme: true,
        acme_require_eab: false,
        ...terms,
      });
      const directoryUrl = `${origin}/pki/${row.tenant_id}/${row.id}/${roleId}/acme/directory`;
      const keysPath = `/v1/pki/roots/${root}/roles/${role}/acme-keys`;
      return { root, role, rootId: row.id, roleId, directoryUrl, keysPath };
    },
    async externalKey({ keysPath }) {
      const { kid, hmac_key: hmacKey } = await post(keysPath, {});
      return { kid, hmacKey };
    },
    async close() {
      await services.jobs.stop(5_000);
      await installation.close();
      web.closeAllConnections();
      await new Promise((resolve) => web.close(resolve));
      await dns.close();
    },
  };
  return rig;
}

export interface PostOptions {
  /** Of the protected header; null leaves a member out. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly signer?: AcmeSigner;
  /** In place of what would be sent. */
  readonly body?: unknown;
  readonly contentType?: string;
}

/** A client that does what it is told to, also what no client would. */
export class RawAcmeClient {
  kid: string | null = null;
  #nonce: string | null = null;

  private constructor(
    readonly directory: Readonly<Record<string, string>>,
    public signer: AcmeSigner,
  ) {}

  static async of(directoryUrl: string, alg = 'ES256'): Promise<RawAcmeClient> {
    const directory = (await (await fetch(directoryUrl)).json()) as Record<string, string>;
    return new RawAcmeClient(directory, createAcmeSigner(alg));
  }

  /** With an account already. */
  static async withAccount(directoryUrl: string, alg = 'ES256'): Promise<RawAcmeClient> {
    const client = await RawAcmeClient.of(directoryUrl, alg);
    await client.newAccount();
    return client;
  }

  async nonce(): Promise<string> {
    const nonce = this.#nonce ?? (await this.freshNonce());
    this.#nonce = null;
    return nonce;
  }

  async freshNonce(): Promise<string> {
    const answer = await fetch(this.directory['newNonce']!, { method: 'HEAD' });
    return answer.headers.get('replay-nonce')!;
  }

  /** No payload is POST-as-GET. */
  async post(url: string, payload?: unknown, options: PostOptions = {}): Promise<AcmeReply> {
    const signer = options.signer ?? this.signer;
    const key = this.kid === null ? { jwk: signer.jwk } : { kid: this.kid };
    const header: Record<string, unknown> = { url, nonce: await this.nonce(), ...key, ...options.header };
    for (const [name, value] of Object.entries(header)) if (value === null) delete header[name];
    return this.send(url, options.body ?? signer.sign(header, payload), options.contentType);
  }

  async send(url: string, body: unknown, contentType = 'application/jose+json'): Promise<AcmeReply> {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    this.#nonce = answer.headers.get('replay-nonce');
    const text = await answer.text();
    const isJson = /json/.test(answer.headers.get('content-type') ?? '');
    return { status: answer.status, headers: answer.headers, text, json: isJson ? JSON.parse(text) : {} };
  }

  async newAccount(
    payload: Readonly<Record<string, unknown>> = {},
    key?: RigExternalKey,
  ): Promise<AcmeReply> {
    const url = this.directory['newAccount']!;
    const binding = key && { externalAccountBinding: externalBinding(key, url, this.signer.jwk) };
    const answer = await this.post(url, { termsOfServiceAgreed: true, ...payload, ...binding });
    if (answer.status === 201 || answer.status === 200) this.kid = answer.headers.get('location');
    return answer;
  }

  newOrder(...names: readonly string[]): Promise<AcmeReply> {
    return this.post(this.directory['newOrder']!, {
      identifiers: names.map((value) => ({ type: 'dns', value })),
    });
  }

  async authorizations(order: AcmeReply): Promise<AcmeReply[]> {
    const all: AcmeReply[] = [];
    for (const url of order.json.authorizations) all.push(await this.post(url));
    return all;
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
