import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { startDnsServer, type TestDnsServer } from '../../testing/dns-server.js';
import { recordingDialer, until } from '../../testing/egress-rig.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createTestCa } from '../../testing/tls-upstream.js';
import type { DialTarget } from './dial.js';
import { validationTargetsProblem } from './private-upstreams.js';
import { createValidation, type Validation, type ValidationDeps, ValidationFailed } from './validation.js';

const NAME = 'www.example.com';
const PATH = '/.well-known/acme-challenge/token';

let clock: ManualClock;
let dns: TestDnsServer;
let web: Server;
let answer: RequestListener;
const seen: { host: string | undefined; url: string | undefined }[] = [];

beforeAll(async () => {
  dns = await startDnsServer();
  web = createServer((request, response) => {
    seen.push({ host: request.headers.host, url: request.url });
    answer(request, response);
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  web.closeAllConnections();
  await new Promise((resolve) => web.close(resolve));
  await dns.close();
});
beforeEach(() => {
  clock = createManualClock();
  seen.length = 0;
  answer = (_request, response) => response.end('the text\n');
  dns.set(NAME, ['127.0.0.1']);
});
afterEach(() => dns.set(NAME, null));

const portOf = (server: Server) => (server.address() as AddressInfo).port;

function made(changes: Partial<ValidationDeps> = {}): Validation {
  return createValidation({
    clock,
    targets: '127.0.0.1/32',
    http01Port: portOf(web),
    dnsServers: [dns],
    nat64: false,
    ownNames: ['knox.example.org'],
    isOwnEndpoint: () => false,
    ...changes,
  });
}

async function outcomeOf(attempt: Promise<unknown>): Promise<unknown> {
  try {
    return await attempt;
  } catch (error) {
    if (!(error instanceof ValidationFailed)) throw error;
    expect(error.message).not.toMatch(/\d+\.\d+\.\d+|::/);
    return `${error.fault}: ${error.message}`;
  }
}

/** Leads dials to whatever address to the one server, and notes them. */
function forwarding() {
  const dialled: DialTarget[] = [];
  return {
    dialled,
    dial(target: DialTarget) {
      dialled.push(target);
      return connect({ host: '127.0.0.1', port: portOf(web) });
    },
  };
}

describe('http-01', () => {
  it('gets the page of the name at the configured port', async () => {
    expect(await made().page(NAME, PATH)).toBe('the text\n');
    expect(seen).toEqual([{ host: `${NAME}:${portOf(web)}`, url: PATH }]);
  });

  it('follows redirects, each of them judged, to the ports of http and https', async () => {
    const other = 'other.example.com';
    dns.set(other, ['127.0.0.1']);
    answer = ({ headers: { host }, url }, response) => {
      if (host?.startsWith(other)) return response.end(`at ${url}`);
      return response.writeHead(302, { location: `http://${other}:${portOf(web)}/a?b=c#d` }).end();
    };
    expect(await made().page(NAME, PATH)).toBe('at /a?b=c');
    dns.set(other, null);
  });

  it('follows one to https whatever the certificate is, since that may be what is asked for', async () => {
    const ca = await createTestCa();
    const { keyPem, certPem } = await ca.issue(['unrelated.example.com']);
    const secure = createTlsServer({ key: keyPem, cert: certPem }, (_request, response) =>
      response.end('secure'),
    );
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    answer = (_request, response) => response.writeHead(308, { location: `https://${NAME}/x` }).end();
    const dial = ({ port }: DialTarget) =>
      connect({ host: '127.0.0.1', port: port === 443 ? portOf(secure as never) : portOf(web) });
    expect(await made({ dialer: dial }).page(NAME, PATH)).toBe('secure');
    await new Promise((resolve) => secure.close(resolve));
  });

  it.each([
    ['another port', 'http://www.example.com:8080/', 'another port'],
    ['the port of ssh', 'http://www.example.com:22/', 'another port'],
    ['http on the port of https', 'http://www.example.com:443/', 'another port'],
    ['a file', 'file:///etc/passwd', 'no http or https URL'],
    ['gopher', 'gopher://www.example.com/', 'no http or https URL'],
    ['a user', 'http://user@www.example.com/', 'no http or https URL'],
    ['metadata by address', 'http://169.254.169.254/latest/meta-data/', 'not an IP address'],
    ['metadata in decimal', 'http://2852039166/', 'not an IP address'],
    ['metadata by name', 'http://metadata.google.internal/', 'metadata name'],
    ['IPv6', 'http://[::1]/', 'not an IP address'],
    ['localhost', 'http://localhost/', 'internal name'],
    ['this server by name', 'http://api.knox.example.org/', 'one of this server'],
    ['a name that leads to metadata', 'http://evil.example.com/', 'metadata address'],
    ['a name that leads to a private address', 'http://inside.example.com/', 'private address'],
    ['nowhere', '', 'redirects'],
  ])('follows none to %s', async (_name, location, text) => {
    dns.set('evil.example.com', ['169.254.169.254']);
    dns.set('inside.example.com', ['10.0.0.1']);
    answer = (_request, response) => response.writeHead(302, { location }).end();
    const dialer = forwarding();
    expect(await outcomeOf(made({ dialer: dialer.dial }).page(NAME, PATH))).toContain(text);
    for (const { address } of dialer.dialled) expect(address).toBe('127.0.0.1');
  });

  it('follows ten redirects and no eleventh', async () => {
    const target = (url: string | undefined) => Number(url?.split('?')[1] ?? 0);
    const upTo =
      (last: number): RequestListener =>
      (request, response) => {
        const next = target(request.url) + 1;
        if (next > last) return response.end('there');
        return response.writeHead(307, { location: `/?${next}` }).end();
      };
    answer = upTo(10);
    expect(await made().page(NAME, PATH)).toBe('there');
    answer = upTo(11);
    expect(await outcomeOf(made().page(NAME, PATH))).toBe('connection: More than 10 redirects');
  });

  it.each([
    [404, 'incorrectResponse: The server answered 404, not 200'],
    [204, 'incorrectResponse: The server answered 204, not 200'],
    [500, 'incorrectResponse: The server answered 500, not 200'],
    [300, 'incorrectResponse: The server answered 300, not 200'],
  ])('takes no answer of %i', async (status, text) => {
    answer = (_request, response) => response.writeHead(status).end();
    expect(await outcomeOf(made().page(NAME, PATH))).toBe(text);
  });

  it('reads no more than a key authorization needs', async () => {
    answer = (_request, response) => response.end('x'.repeat(LIMITS.acmeValidationBodyBytesMax + 1));
    expect(await outcomeOf(made().page(NAME, PATH))).toContain('too long');
    answer = (_request, response) => {
      response.write('x'.repeat(100));
      const more = setInterval(() => response.write('x'.repeat(1_000)), 1);
      response.on('close', () => clearInterval(more));
    };
    expect(await outcomeOf(made().page(NAME, PATH))).toContain('too long');
  });

  it('waits 10 s for all of it, whatever is slow', async () => {
    for (const slow of ['head', 'body'] as const) {
      answer = (_request, response) => {
        if (slow === 'body') response.write('x');
      };
      const asked = seen.length;
      const outcome = outcomeOf(made().page(NAME, PATH));
      await until(() => seen.length > asked);
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(LIMITS.acmeValidationMs);
      expect(await outcome).toMatch(/^connection: /);
    }
    dns.set(NAME, { silent: true });
    const outcome = outcomeOf(made().page(NAME, PATH));
    clock.advance(LIMITS.acmeValidationMs);
    expect(await outcome).toMatch(/^connection: /);
  });

  it('says of an answer that is no HTTP that it is none', async () => {
    answer = (_request, response) => response.socket?.end('SSH-2.0-x\r\n');
    expect(await outcomeOf(made().page(NAME, PATH))).toBe('connection: The server gave no valid HTTP answer');
  });
});

describe('what may be reached', () => {
  const PUBLIC = '93.184.215.14';

  it.each([
    ['public', [PUBLIC], '', 'PASS'],
    ['public IPv6', ['2606:4700::1'], '', 'PASS'],
    ['private', ['10.1.2.3'], '', 'private'],
    ['private, listed', ['10.1.2.3'], '10.1.0.0/16', 'PASS'],
    ['private, another listed', ['10.1.2.3'], '10.2.0.0/16', 'private'],
    ['private, its name listed', ['10.1.2.3'], 'example.com', 'PASS'],
    ['loopback', ['127.0.0.1'], '', 'loopback'],
    ['loopback, its name listed', ['127.0.0.1'], 'example.com', 'loopback'],
    ['metadata', ['169.254.169.254'], '169.254.0.0/16,example.com', 'metadata'],
    ['link-local', ['169.254.1.1'], '169.254.0.0/16', 'link-local'],
    ['carrier-grade NAT', ['100.64.0.1'], '', 'shared'],
    ['IPv6 of a site', ['fd00::1'], '', 'private'],
    ['metadata of IPv6', ['fd00:ec2::254'], 'fd00:ec2::/32', 'metadata'],
    ['mapped', ['::ffff:10.0.0.1'], '10.0.0.0/8', 'embeds'],
    ['unspecified', ['0.0.0.0'], '', 'unspecified'],
    ['a good one and a bad one', [PUBLIC, '10.0.0.1'], '', 'private'],
  ])('%s', async (_name, addresses, targets, verdict) => {
    dns.set(NAME, addresses);
    const dialer = recordingDialer();
    const outcome = await outcomeOf(made({ targets, dialer: dialer.dial }).page(NAME, PATH));
    if (verdict === 'PASS') {
      expect(outcome).toBe('connection: No connection to the upstream');
      expect(dialer.dialled).toEqual([{ address: addresses[0], port: portOf(web), servername: NAME }]);
    } else {
      expect(outcome).toContain(verdict);
      expect(dialer.dialled).toEqual([]);
    }
  });

  it('not what the platform listens on, whatever is listed', async () => {
    const dialer = recordingDialer();
    const isOwnEndpoint: ValidationDeps['isOwnEndpoint'] = (_address, port) => port === portOf(web);
    const validation = made({ isOwnEndpoint, dialer: dialer.dial });
    expect(await outcomeOf(validation.page(NAME, PATH))).toContain('this server itself');
    expect(dialer.dialled).toEqual([]);
  });

  it.each([
    'localhost',
    'a.localhost',
    'db.internal',
    'printer.local',
    'x.test',
    'single',
    'metadata.google.internal',
    'knox.example.org',
    'api.knox.example.org',
    '127.0.0.1',
    '0x7f.1',
    'a..b',
  ])('no name such as %s, by neither way, and nobody is asked for it', async (name) => {
    const asked = dns.queries.length;
    expect(await outcomeOf(made().page(name, PATH))).toMatch(/^connection: The host/);
    expect(await outcomeOf(made().texts(name))).toMatch(/^connection: The host/);
    expect(dns.queries.length).toBe(asked);
  });

  it('an internal name where it is listed', async () => {
    dns.set('db.corp.internal', ['10.0.0.1']);
    const dialer = recordingDialer();
    await outcomeOf(made({ targets: 'corp.internal', dialer: dialer.dial }).page('db.corp.internal', PATH));
    expect(dialer.dialled).toMatchObject([{ address: '10.0.0.1' }]);
  });

  it('the address that was judged, and no other that the name has by then', async () => {
    dns.set(NAME, { a: [PUBLIC], ttl: 0 });
    const dialer = recordingDialer();
    const dial = (target: DialTarget) => {
      dns.set(NAME, { a: ['169.254.169.254'], ttl: 0 });
      return dialer.dial(target);
    };
    const validation = made({ targets: '', dialer: dial });
    await outcomeOf(validation.page(NAME, PATH));
    expect(dialer.dialled.map(({ address }) => address)).toEqual([PUBLIC]);
    expect(await outcomeOf(validation.page(NAME, PATH))).toContain('metadata');
    expect(dialer.dialled).toHaveLength(1);
  });

  it('nothing where a connection leads to another peer than was dialled', async () => {
    dns.set(NAME, [PUBLIC]);
    expect(await outcomeOf(made({ targets: '', dialer: forwarding().dial }).page(NAME, PATH))).toContain(
      'address that was not judged',
    );
    expect(seen).toEqual([]);
  });

  it('a name with too many addresses is none', async () => {
    dns.set(
      NAME,
      Array.from({ length: LIMITS.dnsAnswersMax + 1 }, (_, i) => `8.8.8.${i}`),
    );
    expect(await outcomeOf(made().page(NAME, PATH))).toContain('too many addresses');
  });
});

describe('KNOX_ACME_VALIDATION_TARGETS', () => {
  it.each([
    '10.0.0.0/8:80',
    'example.com:443',
    '10.0.0.0/8@acme',
    'corp.internal@acme',
    '10.0.0.0/7',
    '*.x',
    ' a b',
  ])('%s stops the start and names the variable', (entry) => {
    expect(() => made({ targets: `192.168.0.0/16,${entry}` })).toThrow(/^KNOX_ACME_VALIDATION_TARGETS has/);
    expect(validationTargetsProblem(entry)).toContain(entry.trim());
  });

  it('takes ranges and suffixes', () => {
    expect(validationTargetsProblem('10.0.0.0/8, fd00::/16 ,corp.internal,.example.com')).toBeNull();
    expect(validationTargetsProblem('')).toBeNull();
  });
});

describe('dns-01', () => {
  const AT = `_acme-challenge.${NAME}`;
  afterEach(() => dns.set(AT, null));

  it('gives every TXT record, that of a CNAME too, in the same answer or in a further one', async () => {
    dns.set(AT, { txt: ['one', 'two'] });
    expect(await made().texts(NAME)).toEqual(['one', 'two']);
    dns.set('there.example.net', { txt: ['three'] });
    dns.set(AT, { cname: 'there.example.net' });
    expect(await made().texts(NAME)).toEqual(['three']);
    dns.set(AT, { cname: 'there.example.net', leavesAlias: true });
    expect(await made().texts(NAME)).toEqual(['three']);
  });

  it('takes an answer that is too long for UDP', async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `${i}${'x'.repeat(200)}`);
    dns.set(AT, { txt: texts });
    expect(await made().texts(NAME)).toEqual(texts);
  });

  it('ends with CNAMEs that lead nowhere', async () => {
    dns.set(AT, { cname: 'loop.example.net', leavesAlias: true });
    dns.set('loop.example.net', { cname: AT, leavesAlias: true });
    expect(await outcomeOf(made().texts(NAME))).toContain('could not be looked up');
    expect(dns.queries.filter(({ type }) => type === 'TXT').length).toBeLessThan(30);
  });

  it.each([
    [null, 'There is no _acme-challenge under the name'],
    [{ a: ['8.8.8.8'] }, 'There is no TXT record at _acme-challenge'],
    [{ rcode: 'SERVFAIL' as const }, 'could not be looked up'],
  ])('%j', async (records, text) => {
    dns.set(AT, records);
    expect(await outcomeOf(made().texts(NAME))).toContain(`dns: `);
    expect(await outcomeOf(made().texts(NAME))).toContain(text);
  });
});
