import { lockDataDir } from '../platform/storage/lock.js';

// Holds a data directory until it is killed.
lockDataDir(process.argv[2] ?? '');
process.stdout.write('locked\n');
setInterval(() => {}, 60_000);
