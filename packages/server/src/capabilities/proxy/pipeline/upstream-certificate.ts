import type { Scope } from '../../../kernel/ids.js';
import type { ClientCertificate } from '../../../platform/egress/egress.js';
import type { Secrets } from '../../secrets/index.js';
import type { ProxyCall } from '../call.js';

/**
 * The certificate that a route shows to its upstream (dataplane.md §5.7), that of its environment. Read for each call, so that
 * one that was replaced, deleted, has expired strictly or is of a sealed tenant is not shown again, not even over a
 * connection that is open. 400 `secret_not_found`, `secret_expired`, `validation_error` of what is no certificate with a key.
 */
export async function upstreamCertificate(
  secrets: Pick<Secrets, 'certificateOf'>,
  call: Pick<ProxyCall, 'usedExpired'>,
  scope: Scope,
  secretId: string,
  environment: string,
): Promise<ClientCertificate> {
  const found = await secrets.certificateOf(scope, secretId, environment);
  if (found.isExpired) call.usedExpired = true;
  const { id, version, key, certificatePem } = found;
  return { id, version, load: async () => ({ key, certificatePem }) };
}
