/** Membership by character code, for codes below 128. */
export type CharacterSet = readonly boolean[];

function characters(ranges: string): CharacterSet {
  const pattern = new RegExp(`[${ranges}]`);
  return Array.from({ length: 128 }, (_, code) => pattern.test(String.fromCharCode(code)));
}

export function isIn(set: CharacterSet, code: number): boolean {
  return set[code] === true;
}

export const ALNUM = characters('A-Za-z0-9');
const WORD = characters('A-Za-z0-9_');
const UPPER = characters('A-Z0-9');
const BASE64URL = characters('A-Za-z0-9_-');
const DASHED = characters('A-Za-z0-9-');
const JWT_REST = characters('A-Za-z0-9_.-');
/** Base64, the headers of RFC 1421 and OpenPGP, line breaks, also as escapes of a programming language. */
const PEM_BODY = characters('A-Za-z0-9+/=\\s\\\\:,.()_-');

/** At least `min`; reads on to `max`. */
export interface KeyRun {
  readonly run: CharacterSet;
  readonly min: number;
  readonly max: number;
}

export type KeyPart = { readonly literal: string } | KeyRun;

/** How the certain stretch goes on. */
export type KeyEnd =
  /** To the last character of the set. */
  | { readonly kind: 'run'; readonly run: CharacterSet }
  /** Nowhere: complete, and refused when a letter or digit follows. */
  | { readonly kind: 'edge' }
  /** To the dashes that close the line `-----END …-----`, or to a character that no PEM block holds. */
  | { readonly kind: 'pem'; readonly run: CharacterSet };

export interface KeyShape {
  readonly prefix: string;
  /** A letter or digit right before it means that it is a part of something else. */
  readonly edge: boolean;
  readonly parts: readonly KeyPart[];
  readonly end: KeyEnd;
}

function prefixed(prefixes: readonly string[], run: CharacterSet, min: number, edge = false): KeyShape[] {
  return prefixes.map((prefix) => ({
    prefix,
    edge,
    parts: [{ run, min, max: min }],
    end: { kind: 'run', run },
  }));
}

const PEM_LABELS = ['', 'RSA ', 'EC ', 'DSA ', 'ENCRYPTED ', 'OPENSSH ', 'PGP '];

/** KnoxCall's own credentials (contract README §4) and the common shapes of others'. */
export const KEY_SHAPES: readonly KeyShape[] = [
  ...prefixed(['tk_live_', 'tk_test_', 'kc_live_', 'kc_test_'], BASE64URL, 8),
  ...prefixed(['kct_', 'wkt_', 'whsec_'], BASE64URL, 16, true),
  {
    prefix: 'AKE',
    edge: true,
    parts: [{ run: ALNUM, min: 8, max: 32 }, { literal: '_' }, { run: ALNUM, min: 8, max: 8 }],
    end: { kind: 'run', run: ALNUM },
  },
  ...['AKIA', 'ASIA'].map(
    (prefix): KeyShape => ({
      prefix,
      edge: true,
      parts: [{ run: UPPER, min: 16, max: 16 }],
      end: { kind: 'edge' },
    }),
  ),
  ...prefixed(['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_'], ALNUM, 10),
  ...prefixed(['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'], ALNUM, 20),
  ...prefixed(['github_pat_'], WORD, 20),
  ...prefixed(['glpat-'], BASE64URL, 20),
  ...prefixed(['xoxa-', 'xoxb-', 'xoxe-', 'xoxp-', 'xoxr-', 'xoxs-', 'xapp-'], DASHED, 10),
  ...prefixed(['AIza'], BASE64URL, 30, true),
  ...prefixed(['sk-ant-', 'sk-proj-'], BASE64URL, 20),
  {
    // RFC 7515: two JSON objects in base64url begin with `eyJ`, and a signature may follow.
    prefix: 'eyJ',
    edge: false,
    parts: [{ run: BASE64URL, min: 8, max: 1024 }, { literal: '.eyJ' }, { run: BASE64URL, min: 4, max: 4 }],
    end: { kind: 'run', run: JWT_REST },
  },
  ...PEM_LABELS.map(
    (label): KeyShape => ({
      prefix: `-----BEGIN ${label}PRIVATE KEY${label === 'PGP ' ? ' BLOCK' : ''}-----`,
      edge: false,
      parts: [],
      end: { kind: 'pem', run: PEM_BODY },
    }),
  ),
];
