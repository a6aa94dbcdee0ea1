import { Worker } from 'node:worker_threads';

const SCRIPT = new URL('./regex-worker.mjs', import.meta.url);

/** For 500 expressions of the largest kind, or those of one request. */
export const COMPILE_MS = 2_000;

/** Says `ready`, then answers questions. It keeps no process alive, and dies of an expression that takes too much memory. */
export function startRegexThread(name: string, script: URL = SCRIPT): Worker {
  const worker = new Worker(script, {
    name,
    execArgv: [],
    env: {},
    resourceLimits: { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 192 },
  });
  worker.unref();
  return worker;
}
