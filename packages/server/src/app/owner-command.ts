import { createOwnerPasswords } from '../capabilities/accounts/index.js';
import { isAppError } from '../kernel/errors.js';
import { StartRefused } from '../platform/config/private-files.js';
import { systemRandom } from '../platform/crypto/random.js';
import { accountsOn, runOnDatabase } from './command-database.js';
import { type CommandDeps, USAGE_ERROR } from './command-deps.js';

const USAGE = 'knox-server owner reset-password [<email>] [--remove-factors]';
const REMOVE_FACTORS = '--remove-factors';

const FACTORS_STAY = `Its second factors stay enrolled; where they are lost, add ${REMOVE_FACTORS}\n`;

/** `owner reset-password`: the exit code. Beside a running server too. */
export async function runOwner(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal, clock } = deps;
  const removeFactors = words.includes(REMOVE_FACTORS);
  const [verb, asked, ...more] = words.filter((word) => word !== REMOVE_FACTORS);
  if (verb !== 'reset-password' || asked?.startsWith('-') || more.length > 0) {
    terminal.error(`${USAGE}\n`);
    return USAGE_ERROR;
  }
  return runOnDatabase('owner reset-password', deps, async (db) => {
    const { auditLogs } = accountsOn(db, clock);
    const passwords = createOwnerPasswords({ db, clock, random: systemRandom, auditLogs });
    const email = asked ?? theOnly(await passwords.listOperators());
    const { password, sessionsEnded, factorsLeft, ...owner } = await passwords
      .reset(email, removeFactors)
      .catch((error) => {
        if (isAppError(error, 'not_found')) throw new StartRefused(`there is no owner ${email}`);
        throw error;
      });
    terminal.out(
      `The password of ${owner.email} is now, and is shown this once:\n\n  ${password.reveal()}\n\nSessions ended: ${sessionsEnded}\n${factorsLeft ? FACTORS_STAY : ''}`,
    );
    return 0;
  });
}

function theOnly(owners: readonly string[]): string {
  const [owner, ...others] = owners;
  if (owner === undefined) throw new StartRefused('there is no owner yet; the first start makes one');
  if (others.length > 0) throw new StartRefused(`name one of the owners: ${owners.join(', ')}`);
  return owner;
}
