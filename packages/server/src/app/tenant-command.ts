import { parseArgs } from 'node:util';
import {
  createAccounts,
  SUBSCRIPTION_STATUSES,
  type Tenant,
  type TenantChange,
} from '../capabilities/accounts/index.js';
import { createAuditLogs } from '../capabilities/audit-logs/index.js';
import { createTenantSwitch } from '../capabilities/plans/index.js';
import { isAppError } from '../kernel/errors.js';
import { PLANS } from '../kernel/plan-tiers.js';
import { createGenerations } from '../platform/cache/generations.js';
import type { Config } from '../platform/config/config.js';
import { StartRefused } from '../platform/config/private-files.js';
import { systemIds } from '../platform/crypto/random.js';
import { withDatabase } from './command-database.js';
import { type CommandDeps, readConfig, USAGE_ERROR } from './command-deps.js';
import { startErrorText } from './start.js';

const USAGE =
  'knox-server tenant set <slug> [--ephemeral off|plan] [--plan <plan>] [--subscription-status <status>]';

interface Asked {
  readonly slug: string;
  readonly change: TenantChange;
}

/** `tenant set`: the exit code. */
export async function runTenant(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal } = deps;
  const [verb, ...rest] = words;
  const asked = verb === 'set' ? read(rest) : 'the one command is set';
  if (typeof asked === 'string') {
    terminal.error(`tenant: ${asked}\n\n${USAGE}\n`);
    return USAGE_ERROR;
  }
  const config = readConfig(deps);
  if (!config) return 1;
  try {
    const { slug, plan, subscriptionStatus, ephemeralEnabled } = await apply(config, asked, deps);
    const ephemeral = ephemeralEnabled === false ? 'off' : 'by plan';
    terminal.out(`${slug}: plan ${plan}, subscription ${subscriptionStatus}, ephemeral calls ${ephemeral}\n`);
    return 0;
  } catch (error) {
    terminal.error(`tenant set: ${startErrorText(error)}\n`);
    return 1;
  }
}

/** A text says what is wrong with the words. */
function read(words: readonly string[]): Asked | string {
  let parsed: { values: Record<string, string | undefined>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        ephemeral: { type: 'string' },
        plan: { type: 'string' },
        'subscription-status': { type: 'string' },
      },
    }) as typeof parsed;
  } catch (error) {
    return (error as Error).message;
  }
  const { values, positionals } = parsed;
  const [slug, ...more] = positionals;
  if (slug === undefined || more.length > 0) return 'names exactly one tenant by its slug';
  try {
    const ephemeral = choice(values, 'ephemeral', ['off', 'plan']);
    const change: TenantChange = {
      plan: choice(values, 'plan', PLANS),
      subscriptionStatus: choice(values, 'subscription-status', SUBSCRIPTION_STATUSES),
      ephemeralEnabled: ephemeral === undefined ? undefined : ephemeral === 'off' ? false : null,
    };
    if (Object.values(change).every((value) => value === undefined)) return 'says nothing to set';
    return { slug, change };
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

function choice<Name extends string>(
  values: Readonly<Record<string, string | undefined>>,
  option: string,
  names: readonly Name[],
): Name | undefined {
  const given = values[option];
  if (given === undefined) return undefined;
  const found = names.find((name) => name === given);
  if (found === undefined) throw new RangeError(`--${option} must be one of ${names.join(', ')}`);
  return found;
}

/** Every process of the installation follows within a second. */
function apply(config: Config, { slug, change }: Asked, deps: CommandDeps): Promise<Tenant> {
  return withDatabase(config, deps, async (db) => {
    const { clock } = deps;
    const ids = systemIds;
    const auditLogs = createAuditLogs({ db, clock, ids });
    const generations = createGenerations({ db, clock });
    const accounts = createAccounts({ db, clock, ids, generations, auditLogs });
    try {
      return await createTenantSwitch({ db, clock, accounts, auditLogs }).changeBySlug(slug, change);
    } catch (error) {
      if (isAppError(error, 'not_found')) throw new StartRefused(`there is no tenant ${slug}`);
      throw error;
    }
  });
}
