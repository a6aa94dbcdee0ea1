import { systemClock } from '../kernel/clock.js';
import { processEnvironment } from '../platform/config/env.js';
import { runCommand } from './commands.js';

// Every file that this process makes, the database's too, is the owner's alone.
process.umask(0o077);

const environment = processEnvironment();

const stopAsked = new Promise<void>((resolve) => {
  let isAsked = false;
  const onSignal = () => {
    if (isAsked) process.exit(130);
    isAsked = true;
    resolve();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
});

const code = await runCommand(process.argv.slice(2), {
  environment,
  workingDir: process.cwd(),
  terminal: {
    out: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
    isColoured: process.stdout.isTTY === true && !environment['NO_COLOR'],
  },
  clock: systemClock,
  stopAsked,
  loadTenantSet: async () => (await import('./tenant-command.js')).tenantSet,
  loadStartServer: async () => (await import('./server.js')).startServer,
});
process.exit(code);
