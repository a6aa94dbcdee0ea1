import { isIP } from 'node:net';
import { type Cidr, parseCidr, unmapIpv4 } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { parseSigningKey } from '../crypto/signed-tokens.js';
import { parseTargetList, type TargetEntry } from '../egress/database-targets.js';
import type { DnsServer } from '../egress/resolver.js';

/** Says which rule a value broke; the reader of the environment adds the variable's name. */
export class RuleBroken extends Error {
  override readonly name = 'RuleBroken';
}

export type Parse<T> = (text: string) => T;

export const plainText: Parse<string> = (text) => text;

export function oneOf<const Choice extends string>(...choices: readonly Choice[]): Parse<Choice> {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new RuleBroken(`must be one of ${choices.join(', ')}`);
    return found;
  };
}

export function integer(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      // Kubernetes sets KNOX_PORT=tcp://... beside a Service that is called "knox".
      const hint = text.startsWith('tcp://')
        ? ' (set by a Kubernetes service link: enableServiceLinks: false)'
        : '';
      throw new RuleBroken(`must be a whole number from ${min} to ${max}${hint}`);
    }
    return value;
  };
}

/** Exactly 32 bytes in canonical base64, so that no two texts name one key and no typing error passes. */
export const key32: Parse<Secret<Buffer>> = (text) => {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32 || bytes.toString('base64') !== text) {
    throw new RuleBroken('must be the base64 of exactly 32 bytes (openssl rand -base64 32)');
  }
  return new Secret(bytes);
};

/** Service managers keep a variable on one line, so `\\n` stands for a line end. */
export const signingKey: Parse<Secret<Buffer>> = (text) => {
  const key = parseSigningKey(text.replaceAll('\\n', '\n'));
  if (!key)
    throw new RuleBroken(
      'must be a P-256 private key in PEM (openssl ecparam -genkey -noout -name prime256v1)',
    );
  return key;
};

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

function isHostName(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => LABEL.test(label));
}

export const hostOrAddress: Parse<string> = (text) => {
  if (isIP(text) === 0 && !isHostName(text.toLowerCase())) {
    throw new RuleBroken('must be an IP address or a host name');
  }
  return text.toLowerCase();
};

export const domainName: Parse<string> = (text) => {
  const name = text.toLowerCase();
  if (!isHostName(name) || isIP(name) !== 0)
    throw new RuleBroken('must be a domain name such as knox.example.com');
  return name;
};

/** Origin only: a path, query or user part would be dropped from the links that are built on it. */
export const origin: Parse<string> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isOrigin =
    url !== null &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    `${url.username}${url.password}${url.search}${url.hash}` === '' &&
    url.pathname === '/';
  if (!isOrigin)
    throw new RuleBroken('must be an http or https origin without a path, such as https://knox.example.com');
  return url.origin;
};

export const httpUrl: Parse<string> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new RuleBroken('must be an http or https URL such as http://127.0.0.1:4318');
  // It stands in error messages and in `config check`; OTEL_EXPORTER_OTLP_HEADERS does not.
  if (`${url.username}${url.password}` !== '')
    throw new RuleBroken('must hold no user name or password; send them with OTEL_EXPORTER_OTLP_HEADERS');
  return url.href;
};

export const share: Parse<number> = (text) => {
  const value = /^[01](\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 1)) throw new RuleBroken('must be a number from 0 to 1');
  return value;
};

/** Dialled by the egress guard, which takes names over TLS only; a private authority comes by KNOX_EXTRA_CA_FILE. */
export const httpsNameOrigin: Parse<string> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isOrigin =
    url?.protocol === 'https:' &&
    `${url.username}${url.password}${url.search}${url.hash}` === '' &&
    url.pathname === '/' &&
    isIP(url.hostname) === 0 &&
    url.hostname.includes('.') &&
    isHostName(url.hostname);
  if (!isOrigin)
    throw new RuleBroken('must be an https origin by name, without a path: https://kms.internal.example');
  return url.origin;
};

export const awsAccount: Parse<string> = (text) => {
  if (!/^\d{12}$/.test(text)) throw new RuleBroken('must be the 12 digits of an AWS account');
  return text;
};

/** Pasted by tenants into what grants it, so of no other form than Google's own. */
export const gcpPrincipal: Parse<string> = (text) => {
  const isEmail = /^[a-z0-9-]{1,63}@[a-z0-9.-]{1,180}\.gserviceaccount\.com$/.test(text);
  const isFederated = /^principal:\/\/iam\.googleapis\.com\/[A-Za-z0-9/._:@-]{1,512}$/.test(text);
  if (!isEmail && !isFederated)
    throw new RuleBroken(
      'must be the e-mail of a service account (NAME@PROJECT.iam.gserviceaccount.com) or principal://iam.googleapis.com/…',
    );
  return text;
};

export const jsonText: Parse<unknown> = (text) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RuleBroken('must be JSON');
  }
};

/** Long enough not to be guessed, and of characters that a header takes. */
export const bearerToken: Parse<Secret<string>> = (text) => {
  if (!/^[!-~]{16,512}$/.test(text))
    throw new RuleBroken('must be 16 to 512 visible characters without blanks (openssl rand -hex 32)');
  return new Secret(text);
};

export type DatabaseAddress =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: Secret<string> };

export const databaseAddress: Parse<DatabaseAddress> = (text) => {
  if (text.startsWith('sqlite:')) {
    const path = text.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '');
    if (path === '' || path.includes('\0')) throw new RuleBroken('must name a file after sqlite:');
    return { kind: 'sqlite', path };
  }
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text))
    return { kind: 'postgres', url: new Secret(text) };
  throw new RuleBroken('must be postgres://user:password@host:port/database or sqlite:<path>');
};

export const redisUrl: Parse<Secret<string>> = (text) => {
  if (!/^rediss?:\/\/./.test(text) || !URL.canParse(text) || new URL(text).hostname === '')
    throw new RuleBroken('must be redis://user:password@host:port/number, or rediss:// for TLS');
  return new Secret(text);
};

export const emailAddress: Parse<string> = (text) => {
  if (!/^[^\s@]{1,64}@[^\s@]{1,189}$/.test(text)) throw new RuleBroken('must be an e-mail address');
  return text;
};

export const smtpUrl: Parse<Secret<string>> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isServer =
    (url?.protocol === 'smtp:' || url?.protocol === 'smtps:') &&
    url.hostname !== '' &&
    `${url.search}${url.hash}` === '' &&
    ['', '/'].includes(url.pathname) &&
    isDecodable(`${url.username}${url.password}`);
  if (!isServer)
    throw new RuleBroken('must be smtp://user:password@host:port, or smtps:// for TLS from the first byte');
  return new Secret(text);
};

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Nothing that a mail's header could read as a second address or line. */
export const mailSender: Parse<string> = (text) => {
  const [, name, named] = /^([^<>"\\,;:@\p{Cc}]{1,100}) <([^<>]+)>$/u.exec(text) ?? [];
  const address = name === undefined ? text : named;
  if (!/^[\w.+-]{1,64}@[a-z0-9.-]{1,189}$/i.test(address ?? ''))
    throw new RuleBroken('must be an address, or a name and an address: KnoxCall <knox@example.com>');
  return text;
};

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

export interface CustomHost {
  readonly host: string;
  readonly slug: string;
}

/** `host=slug` pairs: further tenant hosts. */
export const customHosts: Parse<readonly CustomHost[]> = (text) => {
  const pairs = listOf(text).map((item) => {
    const [host = '', slug = '', ...rest] = item.split('=').map((part) => part.trim().toLowerCase());
    if (rest.length > 0 || !isHostName(host) || !LABEL.test(slug)) {
      throw new RuleBroken(`must be a comma list of host=tenant-slug; "${item}" is not`);
    }
    return { host, slug };
  });
  const repeated = pairs.find(
    (pair, index) => pairs.findIndex((other) => other.host === pair.host) !== index,
  );
  if (repeated) throw new RuleBroken(`names ${repeated.host} twice`);
  return pairs;
};

function dnsServer(item: string): DnsServer {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(item);
  const dotted = /^([^:]+)(?::(\d{1,5}))?$/.exec(item);
  const [address, port] =
    isIP(item) === 6 ? [item, undefined] : [bracketed?.[1] ?? dotted?.[1], bracketed?.[2] ?? dotted?.[2]];
  const portNumber = port === undefined ? 53 : Number(port);
  if (address === undefined || isIP(address) === 0 || portNumber < 1 || portNumber > 65_535) {
    throw new RuleBroken(`must be a comma list of ip[:port]; "${item}" is not`);
  }
  return { address, port: portNumber };
}

export const dnsServers: Parse<readonly DnsServer[]> = (text) => {
  const servers = listOf(text).map(dnsServer);
  if (servers.length > 8) throw new RuleBroken('must name at most 8 servers');
  return servers;
};

const PEER_RANGES_MAX = 256;

/** Peers whose word is taken: a range as wide as the Internet would let anybody be anybody (clients-pki.md §1.4). */
export const peerRanges: Parse<readonly Cidr[]> = (text) => {
  const ranges = listOf(text).map((item) => {
    const range = parseCidr(item);
    if (!range)
      throw new RuleBroken(
        `must be a comma list of addresses and ranges such as 10.0.0.0/8; "${item}" is none`,
      );
    const { family } = range.address;
    if (unmapIpv4(range.address).family !== family)
      throw new RuleBroken(`has the entry ${item}: IPv4 is written as such`);
    const prefixMin = LIMITS.operatorPrefixMin[family];
    if (range.prefix < prefixMin)
      throw new RuleBroken(
        `has the entry ${item}, which is too wide: at least /${prefixMin} for IPv${family}`,
      );
    return range;
  });
  if (ranges.length > PEER_RANGES_MAX) throw new RuleBroken(`must have at most ${PEER_RANGES_MAX} entries`);
  return ranges;
};

/** Of RFC 9110 §5.6.2, and none that says something else already. */
const TAKEN_HEADERS =
  /^(host|authorization|x-api-key|dpop|cookie|connection|content-.*|transfer-encoding|expect|x-forwarded-(for|proto)|x-knox.*|knoxcall-.*)$/;

export const headerName: Parse<string> = (text) => {
  const name = text.toLowerCase();
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]{1,100}$/.test(name)) throw new RuleBroken('must be the name of a header');
  if (TAKEN_HEADERS.test(name)) throw new RuleBroken(`must not be ${name}, which has another meaning`);
  return name;
};

export const databaseTargets: Parse<readonly TargetEntry[]> = (text) => {
  const list = parseTargetList(text);
  if (typeof list === 'string') throw new RuleBroken(list);
  return list;
};

export const twilioAccount: Parse<string> = (text) => {
  if (!/^AC[0-9a-f]{32}$/.test(text)) throw new RuleBroken('must be AC and 32 hex digits');
  return text;
};

export const twilioSender: Parse<string> = (text) => {
  if (!/^(\+[1-9]\d{1,14}|MG[0-9a-f]{32})$/.test(text))
    throw new RuleBroken('must be a number with + and country code, or MG and 32 hex digits');
  return text;
};
