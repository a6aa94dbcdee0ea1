import { systemClock } from '../kernel/clock.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from './notes.js';

// Writes until it is killed, and prints each id once its row is durable.
const db = await openDatabase(JSON.parse(process.argv[2] ?? ''), {
  migrations: NOTE_MIGRATIONS,
  clock: systemClock,
});
const view = db.view<NotesDb>(NOTE_TABLES);
let last = 0;
await Promise.all(
  Array.from({ length: 64 }, async () => {
    for (;;) {
      const id = `killed-${last++}`;
      await db.commitInserts([view.insertion('notes', LIVE, noteOf(id))]);
      // Waits for a reader that is late; a write to the bare descriptor would fail with EAGAIN.
      await new Promise((resolve) => process.stdout.write(`${id}\n`, resolve));
    }
  }),
);
