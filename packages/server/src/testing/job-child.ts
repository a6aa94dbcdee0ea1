import { systemClock } from '../kernel/clock.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import { createJobs } from '../platform/jobs/jobs.js';
import { migrations } from '../platform/jobs/tables.js';
import { createLogger } from '../platform/log/logger.js';
import { openDatabase } from '../platform/storage/open-database.js';

// Takes up jobs of one kind and never ends one; says the number of each, and waits to be killed.
const db = await openDatabase(JSON.parse(process.argv[2] ?? ''), { migrations, clock: systemClock });
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });
const jobs = createJobs({ db, clock: systemClock, ids: systemIds, random: systemRandom, logger });
await jobs.start([
  {
    kind: 'endless',
    title: 'never ends',
    schedule: 'on_demand',
    batchMax: 1,
    leaseMs: 3_000,
    async run({ id }) {
      process.stdout.write(`${id}\n`);
      await new Promise(() => {});
      return { rows: 0 };
    },
  },
]);
setInterval(() => {}, 60_000);
