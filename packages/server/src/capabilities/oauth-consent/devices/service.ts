import type { Clock } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Visitor } from '../../../kernel/principal.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database } from '../../../platform/storage/database.js';
import type { VisitorWrites } from '../../accounts/index.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import {
  type AuthenticateClient,
  grantedScopes,
  invalidClient,
  OAuthError,
  type OAuthRequest,
} from '../../oauth/index.js';
import { permissionsOfClient } from '../../oauth-clients/index.js';
import type { AskingClient, AskingClients } from '../asking-client.js';
import { consentEntry } from '../audit.js';
import { actorOfUser } from '../authorization/service.js';
import type { ConsentingUser } from '../consenting-user.js';
import { tooManyDevices } from '../errors.js';
import type { DeviceStore, StoredDevice } from './store.js';
import { hashUserCode, newUserCode } from './user-code.js';

export interface DevicesDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly authenticateClient: AuthenticateClient;
  readonly clients: AskingClients;
  readonly devices: DeviceStore;
  readonly visitorWrites: VisitorWrites;
}

/** RFC 8628: a device without a browser, and the user who answers for it in another one. */
export interface Devices {
  /** `POST /oauth/device_authorization` (RFC 8628 §3.1, §3.2). */
  begin(request: OAuthRequest): Promise<Record<string, unknown>>;
  /** One that waits for an answer; undefined for every other. */
  waiting(userCode: string): Promise<StoredDevice | undefined>;
  /** False where its time is over, or somebody has answered already. */
  decide(
    device: StoredDevice,
    client: AskingClient,
    verdict: 'approved' | 'denied',
    by: { readonly user: ConsentingUser; readonly scopes: readonly string[]; readonly visitor: Visitor },
  ): Promise<boolean>;
}

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const DEVICE_CODE_BYTES = 32;

export function createDevices(deps: DevicesDeps): Devices {
  const { db, clock, random, auditLogs, authenticateClient, clients, devices, visitorWrites } = deps;

  async function askingClient(request: OAuthRequest): Promise<AskingClient> {
    const known = await authenticateClient(request);
    const clientId = known?.clientId ?? request.params.get('client_id');
    if (clientId === undefined) throw invalidClient(false, 'The client does not say who it is');
    const client = await clients.find(clientId, request.host);
    // An API key is a client too, but no user stands behind it.
    if (!client) throw invalidClient(false);
    if (!client.grantTypes.includes(DEVICE_GRANT))
      throw new OAuthError('unauthorized_client', 'The client may not use the device flow');
    return client;
  }

  return {
    async begin(request) {
      const client = await askingClient(request);
      const asked = request.params.get('scope');
      const askedScopes = asked === undefined ? null : grantedScopes(asked, permissionsOfClient(client));
      const deviceCode = random.bytes(DEVICE_CODE_BYTES).toString('base64url');
      const userCode = newUserCode(random);
      const nowMs = clock.nowMs();
      await visitorWrites(async (tx) => {
        const most = LIMITS.devicesWaitingMax;
        if ((await devices.countLive(tx, request.ip, nowMs, most)) >= most)
          throw tooManyDevices(LIMITS.deviceCodeSeconds);
        await devices.insert(tx, {
          deviceCodeHash: sha256(deviceCode),
          userCodeHash: hashUserCode(userCode),
          tenantId: client.registered?.scope.tenantId ?? null,
          sandbox: client.mode === 'test',
          oauthClientId: client.registered?.id ?? null,
          isByAlias: client.registered === null,
          askedScopes,
          ip: request.ip,
          createdAtMs: nowMs,
          expiresAtMs: nowMs + LIMITS.deviceCodeSeconds * 1000,
          intervalSeconds: LIMITS.devicePollSeconds,
        });
      });
      const page = `${request.origin}/oauth/activate`;
      return {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: page,
        verification_uri_complete: `${page}?user_code=${userCode}`,
        expires_in: LIMITS.deviceCodeSeconds,
        interval: LIMITS.devicePollSeconds,
      };
    },

    async waiting(userCode) {
      const device = await devices.findByUserCode(hashUserCode(userCode));
      if (device?.status !== 'pending' || device.expiresAtMs <= clock.nowMs()) return undefined;
      return device;
    },

    async decide(device, asking, verdict, { user, scopes, visitor }) {
      const actor = actorOfUser(user, visitor);
      const client = await clients.rowFor(asking, actor);
      const { tenantId } = user.scope;
      const said = {
        tenantId,
        oauthClientId: client.id,
        userId: user.userId,
        epoch: client.secretEpoch,
        scopes,
      };
      const action = verdict === 'approved' ? 'oauth.device.approve' : 'oauth.device.deny';
      return db.transaction(async (tx) => {
        const isFirst = await devices.decide(tx, device.deviceCodeHash, verdict, said, clock.nowMs());
        if (!isFirst) return false;
        const entry = consentEntry(action, client.id, scopes);
        await auditLogs.record(tx, { ...actor, oauthClientId: client.id }, entry);
        return true;
      });
    },
  };
}
