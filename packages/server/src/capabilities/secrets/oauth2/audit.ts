import type { AuditEntry } from '../../audit-logs/index.js';
import type { Visit } from './visit-store.js';

export function connectEntry(
  { secretId, environment }: Pick<Visit, 'secretId' | 'environment'>,
  step: 'begun' | 'connected' | 'refused',
  reason?: string,
): AuditEntry {
  return {
    action: 'secret.connect',
    resourceType: 'secret',
    resourceId: secretId,
    details: { environment, step, ...(reason !== undefined && { reason }) },
  };
}

export function readTokenEntry(secretId: string, environment: string): AuditEntry {
  return {
    action: 'secret.read',
    resourceType: 'secret',
    resourceId: secretId,
    details: { environment, part: 'access_token' },
  };
}
