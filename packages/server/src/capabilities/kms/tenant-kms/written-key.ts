import { validationError, validationErrors } from '../../../kernel/errors.js';
import type { Principal } from '../../../kernel/principal.js';
import type { Accounts } from '../../accounts/index.js';
import type { CloudKey } from '../cloud-key.js';
import { readCloudKey, type WrittenKey } from '../cloud-key-rules.js';
import { ownsSecretVariable, secretVariablesOf, slugsOfSecretVariable } from '../secret-variable.js';
import { ofAnother, staticCredentialsRejected } from './errors.js';
import { isExternalIdOfAnother, namesOf, ownExternalId } from './references.js';

export interface WrittenKeyDeps {
  readonly accounts: Pick<Accounts, 'takenSlugs' | 'hasSeveralTenants'>;
  readonly operatorKey: CloudKey | null;
}

/** What the tenant has written, made whole and judged without a call to any cloud (kms-admin.md §1.1). */
export async function judgeWrittenKey(
  { accounts, operatorKey }: WrittenKeyDeps,
  { scope, tenantSlug }: Pick<Principal, 'scope' | 'tenantSlug'>,
  written: WrittenKey,
): Promise<CloudKey> {
  const reading = readCloudKey(written, 'tenant');
  if (reading.kind === 'static_credential') throw staticCredentialsRejected(reading.field);
  if (reading.kind === 'invalid') {
    throw validationErrors(
      new Map(Object.entries(reading.fields).map(([field, rules]) => [field, [...rules]])),
    );
  }
  const key = whole(reading.key, scope.tenantId);
  if (key.provider === 'aws' && isExternalIdOfAnother(key.config.externalId ?? '', scope.tenantId)) {
    throw validationError('config.external_id', 'is what this server sends for another tenant');
  }
  // Also where tenants may share theirs: it is none of a tenant's.
  if (operatorKey !== null) refuseOperatorsOwn(key, operatorKey);
  if (key.provider === 'azure' && key.config.application !== null) {
    await requireOwnVariable(key.config.application.secretVariable);
  }
  return key;

  async function requireOwnVariable(name: string): Promise<void> {
    if (!(await accounts.hasSeveralTenants())) return;
    const slugs = await accounts.takenSlugs(slugsOfSecretVariable(name), scope.tenantId);
    if (ownsSecretVariable(name, tenantSlug, slugs)) return;
    throw validationError('config.client_secret_env_var', `must begin with ${secretVariablesOf(tenantSlug)}`);
  }
}

/** With what follows from the rest where it was left out. */
function whole(key: CloudKey, tenantId: string): CloudKey {
  switch (key.provider) {
    case 'aws':
      return {
        ...key,
        config: { ...key.config, externalId: key.config.externalId ?? ownExternalId(tenantId) },
      };
    case 'gcp': {
      const projectId =
        key.config.projectId ?? /@([^.]+)\./.exec(key.config.serviceAccount ?? '')?.[1] ?? null;
      return { ...key, config: { ...key.config, projectId } };
    }
    case 'azure':
      return key;
  }
}

function refuseOperatorsOwn(key: CloudKey, operatorKey: CloudKey): void {
  const [names, theirs] = [namesOf(key), namesOf(operatorKey)];
  if (names.keyName === theirs.keyName) throw ofAnother('key');
  if (names.identityName !== null && names.identityName === theirs.identityName) throw ofAnother('identity');
}
