import { parseArgs } from 'node:util';
import { SUBSCRIPTION_STATUSES, type Tenant, type TenantChange } from '../capabilities/accounts/index.js';
import { createTenantSwitch } from '../capabilities/plans/index.js';
import type { Clock } from '../kernel/clock.js';
import { isAppError } from '../kernel/errors.js';
import { PLANS } from '../kernel/plan-tiers.js';
import { StartRefused } from '../platform/config/private-files.js';
import type { Database } from '../platform/storage/database.js';
import { accountsOn, runOnDatabase } from './command-database.js';
import { type CommandDeps, USAGE_ERROR } from './command-deps.js';

const USAGE =
  'knox-server tenant set <slug> [--ephemeral off|plan] [--plan <plan>] [--subscription-status <status>]';

interface Asked {
  readonly slug: string;
  readonly change: TenantChange;
}

/** `tenant set`: the exit code. */
export async function runTenant(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal, clock } = deps;
  const [verb, ...rest] = words;
  const asked = verb === 'set' ? read(rest) : 'the one command is set';
  if (typeof asked === 'string') {
    terminal.error(`tenant: ${asked}\n\n${USAGE}\n`);
    return USAGE_ERROR;
  }
  return runOnDatabase('tenant set', deps, async (db) => {
    const { slug, plan, subscriptionStatus, ephemeralEnabled } = await apply(db, asked, clock);
    const ephemeral = ephemeralEnabled === false ? 'off' : 'by plan';
    terminal.out(`${slug}: plan ${plan}, subscription ${subscriptionStatus}, ephemeral calls ${ephemeral}\n`);
    return 0;
  });
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
async function apply(db: Database, { slug, change }: Asked, clock: Clock): Promise<Tenant> {
  try {
    return await createTenantSwitch({ db, clock, ...accountsOn(db, clock) }).changeBySlug(slug, change);
  } catch (error) {
    if (isAppError(error, 'not_found')) throw new StartRefused(`there is no tenant ${slug}`);
    throw error;
  }
}
