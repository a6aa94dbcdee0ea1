// Install, build, start: `npm run up`. Plain Node, since nothing is installed yet.
import { join } from 'node:path';
import { buildServer, installServer } from './install.mjs';
import { endWith, ROOT, requireNode } from './terminal.mjs';

requireNode();
try {
  await installServer();
  await buildServer();
} catch (error) {
  endWith(error);
}
// In this process rather than a child: signals, terminal and memory are the server's own.
const server = join(ROOT, 'packages', 'server', 'bin', 'knox-server.mjs');
process.argv = [process.execPath, server, 'start', ...process.argv.slice(2)];
await import(server);
