import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { TenantKeys } from '../kms/index.js';
import type { Authorities } from './authorities.js';

export interface AuthoritiesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open' | 'onForget'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly jobs: Pick<Jobs, 'wake'>;
  /** `KNOX_PUBLIC_URL`. */
  readonly publicUrl: string | null;
}

export function createAuthorities(_deps: AuthoritiesDeps): Authorities {
  throw new Error('not there yet');
}
