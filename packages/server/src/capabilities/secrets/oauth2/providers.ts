import type { ClientAuth, GrantType, ProviderName } from './tables.js';

/** What is known of a provider; whatever a secret says itself goes before. */
export interface ProviderPreset {
  /** For people. */
  readonly title: string;
  readonly authUrl: string | null;
  readonly tokenUrl: string | null;
  /** Null: found out at the first call. */
  readonly clientAuth: ClientAuth | null;
  /** Beside what RFC 6749 §4.1.1 has in the address that the browser is sent to. */
  readonly authParams: Readonly<Record<string, string>>;
  readonly scopeSeparator: ' ' | ',';
  /** Scopes without which there is no refresh token. */
  readonly offlineScopes: readonly string[];
  /** Of tokens that say no end and have one all the same; null = they have none. */
  readonly assumedLifeSeconds: number | null;
}

const PLAIN = {
  clientAuth: 'post',
  authParams: {},
  scopeSeparator: ' ',
  offlineScopes: [],
  assumedLifeSeconds: null,
} as const;

export const PRESETS: Readonly<Record<ProviderName, ProviderPreset>> = {
  google: {
    ...PLAIN,
    title: 'Google',
    authUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
    tokenUrl: 'https://oauth2.googleapis.com/token',
    // A refresh token is given once, at the first consent, unless consent is asked for again.
    authParams: { access_type: 'offline', prompt: 'consent' },
  },
  github: {
    ...PLAIN,
    title: 'GitHub',
    authUrl: 'https://github.com/login/oauth/authorize',
    tokenUrl: 'https://github.com/login/oauth/access_token',
  },
  salesforce: {
    ...PLAIN,
    title: 'Salesforce',
    authUrl: 'https://login.salesforce.com/services/oauth2/authorize',
    tokenUrl: 'https://login.salesforce.com/services/oauth2/token',
    // Its answers have no `expires_in`: a session lasts as long as the organisation says, and 15 minutes at least.
    assumedLifeSeconds: 900,
  },
  microsoft: {
    ...PLAIN,
    title: 'Microsoft',
    authUrl: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
    tokenUrl: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
    offlineScopes: ['offline_access'],
  },
  slack: {
    ...PLAIN,
    title: 'Slack',
    authUrl: 'https://slack.com/oauth/v2/authorize',
    tokenUrl: 'https://slack.com/api/oauth.v2.access',
    scopeSeparator: ',',
  },
  custom: { ...PLAIN, title: 'the provider', authUrl: null, tokenUrl: null, clientAuth: null },
};

/** Grants whose tokens come by a browser. */
export function needsBrowser(grantType: GrantType): boolean {
  return grantType === 'authorization_code' || grantType === 'implicit';
}

export function scopeTextOf(provider: ProviderName, scopes: readonly string[]): string | null {
  return scopes.length === 0 ? null : scopes.join(PRESETS[provider].scopeSeparator);
}

/** As it is sent to the page of consent. */
export function consentScopeOf(
  provider: ProviderName,
  grantType: GrantType,
  scopes: readonly string[],
): string | null {
  const offline = grantType === 'authorization_code' ? PRESETS[provider].offlineScopes : [];
  return scopeTextOf(provider, [...new Set([...scopes, ...offline])]);
}
