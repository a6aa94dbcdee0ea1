import { LIMITS } from '../../../kernel/limits.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Accounts } from '../../accounts/index.js';
import type { Dpop } from '../../dpop/index.js';
import { type Grant, invalidGrant, type OAuthTokens, required, type TokenCall } from '../../oauth/index.js';
import { requireActiveTenant } from '../consenting-user.js';
import { authorizationPending, deviceDenied, deviceExpired, slowDown } from '../errors.js';
import { type Consented, isOfCaller, isOfClient, mintForUser } from '../mint.js';
import { DEVICE_GRANT } from './service.js';
import type { DeviceStore, StoredDevice } from './store.js';

export interface DeviceCodeDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly devices: DeviceStore;
  readonly tokens: Pick<OAuthTokens, 'stateOf' | 'openFamilyIn' | 'mintIn'>;
  readonly dpop: Pick<Dpop, 'consumeIn'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
}

/** RFC 8628 §3.4, §3.5: a device asks until somebody has answered for it. */
export function deviceCodeGrant(deps: DeviceCodeDeps): Grant {
  const { db, devices, accounts } = deps;

  async function refuseWaiting(device: StoredDevice, { nowMs }: TokenCall): Promise<never> {
    const { deviceCodeHash, lastPolledAtMs, intervalSeconds } = device;
    const isEarly = lastPolledAtMs !== null && nowMs - lastPolledAtMs < intervalSeconds * 1000;
    // Strangers have device codes too: how many writes one of them is good for is bounded.
    if (isEarly && intervalSeconds >= LIMITS.devicePollSecondsMax) throw slowDown();
    const interval = isEarly ? intervalSeconds + LIMITS.devicePollSeconds : intervalSeconds;
    await db.transaction((tx) => devices.recordPoll(tx, deviceCodeHash, nowMs, interval));
    throw isEarly ? slowDown() : authorizationPending();
  }

  return {
    type: DEVICE_GRANT,
    client: 'required_or_alias',
    async run(call) {
      const device = await devices.findByDeviceCode(sha256(required(call.params, 'device_code')));
      if (!device || !isAskedBy(device, call)) throw invalidGrant('The code is not one of this client');
      if (device.status === 'used') throw invalidGrant('The code was used before');
      if (device.expiresAtMs <= call.nowMs) throw deviceExpired();
      if (device.status === 'denied') throw deviceDenied();
      const consented = consentedOf(device);
      if (!consented) return refuseWaiting(device, call);
      const tenantSlug = await requireActiveTenant(accounts, consented.scope.tenantId);
      const minted = await mintForUser(
        deps,
        call,
        { ...consented, grantType: DEVICE_GRANT, tenantSlug },
        {
          use: (tx) => devices.use(tx, device.deviceCodeHash),
        },
      );
      if (!minted) throw invalidGrant('The code was used before');
      return minted;
    },
  };
}

function isAskedBy(device: StoredDevice, call: TokenCall): boolean {
  const consented = consentedOf(device);
  return consented ? isOfCaller(consented, call) : isOfClient(device, call);
}

function consentedOf(device: StoredDevice): Consented | undefined {
  const { verdict, sandbox, isByAlias } = device;
  if (verdict === null) return undefined;
  const { tenantId, oauthClientId, userId, epoch, scopes } = verdict;
  return { scope: { tenantId, sandbox }, oauthClientId, isByAlias, userId, epoch, scopes };
}
