import { systemClock } from '../kernel/clock.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { NOTE_MIGRATIONS } from './notes.js';

// Opens a database, which brings its tables up to date, and closes it.
const db = await openDatabase(JSON.parse(process.argv[2] ?? ''), {
  migrations: NOTE_MIGRATIONS,
  clock: systemClock,
});
process.stdout.write('open\n');
await db.close();
