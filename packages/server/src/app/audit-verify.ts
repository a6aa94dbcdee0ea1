import { type AuditVerification, createAuditVerification } from '../capabilities/audit-logs/index.js';
import type { Clock } from '../kernel/clock.js';
import type { TenantId } from '../kernel/ids.js';
import { type Config, storageOptions } from '../platform/config/config.js';
import { StartRefused } from '../platform/config/private-files.js';
import { readRootKeyFile } from '../platform/config/root-key-file.js';
import type { Database } from '../platform/storage/database.js';
import { openDatabaseForReading } from '../platform/storage/open-database.js';
import { accountsOn } from './command-database.js';
import { type CommandDeps, readConfig, requireInstallation, USAGE_ERROR } from './command-deps.js';
import { MIGRATIONS } from './migrations.js';
import { startErrorText, type Terminal } from './start.js';

const USAGE = 'knox-server audit verify [--tenant <slug>]';

/** `audit verify`: reads only, so it works beside a running server. The exit code. */
export async function runAudit(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal, clock } = deps;
  const [verb, option, tenantSlug = null, ...more] = words;
  const isKnown = verb === 'verify' && (option === undefined || (option === '--tenant' && tenantSlug));
  if (!isKnown || more.length > 0) {
    terminal.error(`${USAGE}\n`);
    return USAGE_ERROR;
  }
  const config = readConfig(deps);
  if (!config) return 1;
  let db: Database | null = null;
  try {
    requireInstallation(config);
    db = await openDatabaseForReading(storageOptions(config), { migrations: MIGRATIONS, clock });
    return await verifyAll(db, { config, terminal, clock, tenantSlug });
  } catch (error) {
    terminal.error(`Cannot verify: ${startErrorText(error)}\n`);
    return 1;
  } finally {
    await db?.close();
  }
}

interface AuditVerifyDeps {
  readonly config: Config;
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Null = every tenant, and the critical chain. */
  readonly tenantSlug: string | null;
}

async function verifyAll(db: Database, { config, terminal, clock, tenantSlug }: AuditVerifyDeps) {
  const { rootKey } = config;
  const key = rootKey.kind === 'value' ? rootKey.key : readRootKeyFile(rootKey.path);
  if (!key) throw new StartRefused('the root key is missing: the checkpoints are signed with it');
  const verification = createAuditVerification({ db, rootKey: key });
  if (!(await verification.knowsKey()))
    throw new StartRefused('the root key is not the one that the checkpoints were signed with');

  const { accounts } = accountsOn(db, clock);
  let isGood = true;
  const report = (chain: string, lines: ChainReport) => {
    isGood &&= lines.bad === null;
    const outcome = lines.bad === null ? `${lines.good}\n` : `BAD at ${lines.bad}\n`;
    terminal.out(`${chain}: ${outcome}`);
  };

  if (tenantSlug !== null) {
    const tenant = await accounts.tenantBySlug(tenantSlug);
    if (!tenant) throw new StartRefused(`there is no tenant ${tenantSlug}`);
    report(`tenant ${tenant.slug}`, await reportOf(verification, tenant.id));
    return isGood ? 0 : 1;
  }
  for (const tenantId of await verification.listTenants()) {
    const tenant = await accounts.tenantById(tenantId);
    report(`tenant ${tenant?.slug ?? tenantId}`, await reportOf(verification, tenantId));
  }
  report('critical chain', await reportOf(verification, null));
  return isGood ? 0 : 1;
}

interface ChainReport {
  readonly good: string;
  readonly bad: string | null;
}

async function reportOf(verification: AuditVerification, tenantId: TenantId | null): Promise<ChainReport> {
  const { checked, firstBad, head, unsealedTail } =
    tenantId === null
      ? { ...(await verification.verifyCritical()), unsealedTail: 0 }
      : await verification.verifyTenant(tenantId);
  const unsealed = unsealedTail === 0 ? '' : `, ${unsealedTail} not sealed yet`;
  return {
    good: `${checked} rows verified, head ${head.sequenceNumber} ${head.rowHash.toString('hex')}${unsealed}`,
    bad: firstBad && `sequence number ${firstBad.sequenceNumber}: ${firstBad.reason}`,
  };
}
