import { newPassword, systemActor } from '../capabilities/accounts/index.js';
import type { IdSource, TenantId } from '../kernel/ids.js';
import type { Plan } from '../kernel/plan-tiers.js';
import { Secret } from '../kernel/secret.js';
import type { Config } from '../platform/config/config.js';
import { StartRefused } from '../platform/config/private-files.js';
import { createRootKeyFile, readRootKeyFile } from '../platform/config/root-key-file.js';
import { KEY_BYTES } from '../platform/crypto/authenticated-cipher.js';
import { sha256Hex } from '../platform/crypto/hashing.js';
import type { Random } from '../platform/crypto/random.js';
import type { Logger } from '../platform/log/logger.js';
import { type Database, UniqueViolation } from '../platform/storage/database.js';
import type { PreparedInstallation } from './bootstrap.js';
import { logOperatorKms } from './operator-kms.js';
import type { Services } from './services.js';

const TENANT_SLUG = 'default';
const DEPLOYMENT_ID_CHARACTERS = 8;

/** The configured key, the one of the file, or, where nothing is wrapped yet, a new file (kms-admin.md §3.1). */
export async function loadRootKey(
  config: Config,
  random: Random,
  hasData: () => Promise<boolean>,
): Promise<Secret<Buffer>> {
  const { rootKey } = config;
  if (rootKey.kind === 'value') return rootKey.key;
  const present = readRootKeyFile(rootKey.path);
  if (present) return present;
  if (await hasData()) {
    throw new StartRefused(
      `root key: ${rootKey.path} is missing, and the stored data was wrapped with it; put it back from its backup`,
    );
  }
  const made = new Secret(random.bytes(KEY_BYTES));
  createRootKeyFile(rootKey.path, made);
  return made;
}

export interface InstallationDeps {
  readonly db: Database;
  readonly ids: IdSource;
  readonly random: Random;
  readonly services: Pick<Services, 'accounts' | 'kms' | 'apiKeys'>;
  readonly ownerEmail: string;
  readonly plan: Plan;
  readonly baseUrl: string;
}

/** The bootstrap tenant, its owner, its master key and a key of each mode, in one transaction (auth.md §7). */
export async function prepareInstallation(deps: InstallationDeps): Promise<PreparedInstallation> {
  const { accounts, kms, apiKeys } = deps.services;
  const password = newPassword(deps.random);
  const owner = await accounts.prepareOwner(deps.ownerEmail, password);
  const tenantId = deps.ids.uuid() as TenantId;
  const masterKey = await kms.prepare(tenantId);
  const live = apiKeys.prepare('live', 'Bootstrap live key');
  const test = apiKeys.prepare('test', 'Bootstrap test key');
  return {
    content: {
      base_url: deps.baseUrl,
      tenant: { id: tenantId, slug: TENANT_SLUG },
      admin: { email: deps.ownerEmail, password: password.reveal() },
      live_api_key: live.apiKey.reveal(),
      test_api_key: test.apiKey.reveal(),
    },
    async commit() {
      try {
        return await insert();
      } catch (error) {
        // Of several processes that start at once one made it, and the address of the owner is taken.
        if (error instanceof UniqueViolation && (await accounts.hasTenants())) return false;
        throw error;
      }
    },
  };

  function insert(): Promise<boolean> {
    return deps.db.transaction(async (tx) => {
      if (await accounts.hasTenants(tx)) return false;
      await accounts.createTenantWithOwner(
        tx,
        { id: tenantId, slug: TENANT_SLUG, name: 'Default', plan: deps.plan },
        owner,
      );
      await kms.createFor(tx, tenantId, masterKey);
      const actor = systemActor(tenantId);
      await apiKeys.createIn(tx, actor, live);
      await apiKeys.createIn(tx, { ...actor, scope: { tenantId, sandbox: true } }, test);
      return true;
    });
  }
}

export interface OpenKeysDeps {
  readonly kms: Services['kms'];
  readonly auth: Pick<Services['auth'], 'changeRootKey'>;
  readonly rootKey: Secret<Buffer>;
  /** The former root key, where this start is to change it. */
  readonly previous: Secret<Buffer> | null;
  readonly logger: Logger;
}

/** Changes the root key where that is asked for, and refuses one that the data was not wrapped with (kms-admin.md §7). */
export async function openKeys({ kms, auth, rootKey, previous, logger }: OpenKeysDeps) {
  if (previous) {
    await changeRootKey(kms, previous, logger);
    await auth.changeRootKey(previous);
  }
  await kms.checkRootKey();
  logOperatorKms(await kms.useOperatorKms(), logger);
  return {
    deploymentId: await kms.installationText('deployment_id', () => deploymentIdOf(previous ?? rootKey)),
  };
}

async function changeRootKey(kms: Services['kms'], previous: Secret<Buffer>, logger: Logger): Promise<void> {
  const change = await kms.changeRootKey(previous);
  if (change === null) {
    logger.warn('The root key is not being changed: MASTER_KEY_B64_PREVIOUS is not needed and may be unset');
    return;
  }
  const { rewrapped, unreadable } = change;
  if (unreadable.length > 0) {
    logger.error(
      { count: unreadable.length, first: unreadable[0] },
      'keys that neither root key opens stay as they are',
    );
  }
  logger.info(
    { rewrapped },
    'The root key is changed. MASTER_KEY_B64_PREVIOUS may be unset; keep the former key only for older backups',
  );
}

/**
 * The hop marker's 8 hex digits: the same in every process of the installation, and stored by the first start, since
 * a change of the root key must not change them. 32 bits of a hash tell nothing of the key.
 */
function deploymentIdOf(rootKey: Secret<Buffer>): string {
  return sha256Hex(Buffer.concat([Buffer.from('knox.deployment-id\0'), rootKey.reveal()])).slice(
    0,
    DEPLOYMENT_ID_CHARACTERS,
  );
}
