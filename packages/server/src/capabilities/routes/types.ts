import type { Scope } from '../../kernel/ids.js';
import type { Promisable } from '../../kernel/promisable.js';

/** A JSON object as it is stored and merged. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface RouteRateLimit {
  readonly requests: number;
  readonly windowSec: number;
  /** Beyond `requests`, for a short time. */
  readonly burst: number;
}

/**
 * What a route does in one environment with one method: inheritance and overrides of the method are applied. The same
 * object as long as the route is unchanged, so that whoever reads it may keep what was parsed of it in a WeakMap.
 */
export interface RouteSettings {
  readonly targetBaseUrl: string;
  /** Names as they were written. */
  readonly injectHeaders: ReadonlyMap<string, string>;
  readonly injectBody: JsonObject | null;
  readonly requireSignature: boolean;
  readonly signatureToleranceSec: number;
  readonly signatureHeader: string;
  readonly timestampHeader: string;
  readonly rateLimit: RouteRateLimit | null;
  /** Null: any. */
  readonly allowedMethods: readonly string[] | null;
  /** Null: none of its own. */
  readonly egressServerId: string | null;
  readonly requiresClients: boolean;
  /** Of a secret of the type `certificate`. */
  readonly mtlsCertificateId: string | null;
  /** Empty: from anywhere. */
  readonly ipAllowlist: readonly string[];
  readonly interceptEnabled: boolean;
}

export interface RouteEnvironment {
  readonly name: string;
  readonly enabled: boolean;
  /** In upper case; a method without an override has those of the environment. */
  settings(method: string): RouteSettings;
  /** What `{{var:KEY}}` stands for. */
  readonly variables: ReadonlyMap<string, string>;
}

export const ACTION_DIRECTIONS = ['request', 'response'] as const;
export type ActionDirection = (typeof ACTION_DIRECTIONS)[number];
export const ACTION_KINDS = ['encrypt', 'decrypt', 'tokenize', 'detokenize'] as const;
export type ActionKind = (typeof ACTION_KINDS)[number];

/** dataplane.md §5.6. */
export interface FieldAction {
  readonly id: string;
  readonly direction: ActionDirection;
  readonly action: ActionKind;
  /** JSONPath of the subset `$.a.b[*].c`. */
  readonly selectors: readonly string[];
  /** A crypto key to encrypt and decrypt with, a vault to tokenize and detokenize with. */
  readonly keyName: string | null;
  /** The role of a `kc:` value. */
  readonly dataRole: string | null;
  readonly contentType: string;
  readonly sortOrder: number;
  readonly enabled: boolean;
}

export interface CallableRoute {
  readonly id: string;
  readonly name: string;
  readonly slug: string | null;
  readonly enabled: boolean;
  readonly baseEnvironment: string;
  /** Those that the route is configured for, by name. */
  readonly environments: ReadonlyMap<string, RouteEnvironment>;
  /** Enabled ones, in the order in which they are applied. */
  readonly actions: readonly FieldAction[];
}

export type RoutePlace = Pick<CallableRoute, 'id' | 'baseEnvironment'>;

export interface RouteTable {
  /** By UUID, then slug, then name, case and all (dataplane.md §5.2). At once but for the first call after a change. */
  find(scope: Scope, reference: string): Promisable<CallableRoute | undefined>;
  /**
   * The same, and no more than where it stands: from what is held of all routes, so that it costs the same for one that is
   * not there as for one that was never called.
   */
  place(scope: Scope, reference: string): Promisable<RoutePlace | undefined>;
}
