import { openSqlite } from '../platform/storage/sqlite.js';

// Has the files of a database open until it is killed.
const { path, logPath } = JSON.parse(process.argv[2] ?? '');
await openSqlite({ main: path, log: logPath });
process.stdout.write('open\n');
setInterval(() => {}, 60_000);
