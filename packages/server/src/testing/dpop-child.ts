import { createDpop, migrations } from '../capabilities/dpop/index.js';
import { systemClock } from '../kernel/clock.js';
import { Secret } from '../kernel/secret.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { createInstruments } from '../platform/telemetry/instruments.js';

// Uses a proof, says so, and waits to be killed: behind the commit, or inside a transaction that has used it.
const { storage, request, isInside } = JSON.parse(process.argv[2] ?? '');
const db = await openDatabase(storage, { migrations, clock: systemClock });
const dpop = createDpop({
  db,
  clock: systemClock,
  rootKey: new Secret(Buffer.alloc(32, 1)),
  iatWindowMs: 60_000,
  instruments: createInstruments(),
});
const verified = await dpop.verify(request);
setInterval(() => {}, 60_000);
if (isInside) {
  await db.transaction(async (tx) => {
    await dpop.consumeIn(tx, verified);
    process.stdout.write('used\n');
    await new Promise(() => {});
  });
} else {
  await dpop.consume(verified);
  process.stdout.write('used\n');
}
