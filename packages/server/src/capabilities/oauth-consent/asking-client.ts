import { type Mode, modeOf, type Scope } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import { CLI_ALIAS, CLI_CLIENT, type OAuthClient, type OAuthClients } from '../oauth-clients/index.js';
import type { StoredDevice } from './devices/store.js';

/** Whoever asks a user for consent: a registered client, or the CLI before its tenant is known. */
export interface AskingClient
  extends Pick<
    OAuthClient,
    'name' | 'type' | 'grantTypes' | 'allowedScopes' | 'redirectUris' | 'stepUpScopes' | 'consentHtmlTemplate'
  > {
  /** As it named itself. */
  readonly clientId: string;
  /** Null of the alias: each tenant has a client of its own behind it (auth.md §2.4). */
  readonly registered: OAuthClient | null;
  readonly mode: Mode;
}

export interface AskingClients {
  /** Undefined: unknown, revoked, switched off, or not of that host's tenant or mode. */
  find(clientId: string, host: ResolvedHost): Promise<AskingClient | undefined>;
  /** The one that a device waits for; undefined as above. */
  ofDevice(device: StoredDevice, host: ResolvedHost): Promise<AskingClient | undefined>;
  /** The row that codes and tokens name; that of the alias is made when it is first needed. */
  rowFor(client: AskingClient, actor: Actor): Promise<OAuthClient>;
}

export interface AskingClientsDeps {
  readonly clients: Pick<OAuthClients, 'find' | 'findByClientId' | 'cliClient'>;
  /** Undefined where the tenant is gone. */
  tenantSlugOf(scope: Scope): Promise<string | undefined>;
}

export function createAskingClients({ clients, tenantSlugOf }: AskingClientsDeps): AskingClients {
  function alias(mode: Mode): AskingClient {
    return { ...CLI_CLIENT, clientId: CLI_ALIAS, registered: null, mode };
  }

  async function at(host: ResolvedHost, client: OAuthClient | undefined): Promise<AskingClient | undefined> {
    if (!client?.isActive || client.revokedAtMs !== null) return undefined;
    const mode = modeOf(client.scope);
    if (host.mode !== null && host.mode !== mode) return undefined;
    if (host.tenantSlug !== null && host.tenantSlug !== (await tenantSlugOf(client.scope))) return undefined;
    return { ...client, registered: client, mode };
  }

  return {
    async find(clientId, host) {
      // On a plain address nothing else says which mode the CLI means: there the alias is live.
      if (clientId === CLI_ALIAS) return alias(host.mode ?? 'live');
      return at(host, await clients.findByClientId(clientId));
    },

    async ofDevice({ tenantId, oauthClientId, sandbox, isByAlias }, host) {
      const mode = sandbox ? 'test' : 'live';
      if (isByAlias) return host.mode === null || host.mode === mode ? alias(mode) : undefined;
      if (tenantId === null || oauthClientId === null) return undefined;
      return at(host, await clients.find({ tenantId, sandbox }, oauthClientId));
    },

    rowFor: async (client, actor) => client.registered ?? clients.cliClient(actor),
  };
}
