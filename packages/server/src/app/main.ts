import { systemClock } from '../kernel/clock.js';
import { processEnvironment } from '../platform/config/env.js';
import { runCommand } from './commands.js';

// Every file that this process makes, the database's too, is the owner's alone.
process.umask(0o077);

const environment = processEnvironment();

/** A terminal sends Ctrl-C to the whole group, and npm hands it on once more: that is one wish. */
const SAME_WISH_MS = 1_000;

const stopAsked = new Promise<void>((resolve) => {
  let askedAtMs: number | null = null;
  const onSignal = () => {
    const nowMs = systemClock.monotonicMs();
    if (askedAtMs === null) {
      askedAtMs = nowMs;
      resolve();
    } else if (nowMs - askedAtMs > SAME_WISH_MS) {
      // `exit` would tear down threads in the middle of their work, which ends in an abort. What is committed stays.
      process.kill(process.pid, 'SIGKILL');
    }
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
  onReload: (callback) => void process.on('SIGHUP', callback),
  loadStartServer: async () => (await import('./server.js')).startServer,
});
process.exit(code);
