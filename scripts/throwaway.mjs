const START_TRIES = 3;

/** A port that was free may be taken by the time that the server asks for it. */
export async function startWithTries(start) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === START_TRIES) throw error;
    }
  }
}

const SAID_CHARACTERS_MAX = 20_000;

/**
 * When a server says on `stdout` or `stderr` that it is ready; from then on it keeps nobody from ending. What it said
 * is in the error where it ends before.
 */
export function untilReady(child, channel, ready) {
  const output = child[channel];
  return new Promise((resolve, reject) => {
    let said = '';
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${child.spawnfile} did not start:\n${said}`)));
    output.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-SAID_CHARACTERS_MAX);
      if (!ready.test(said)) return;
      child.unref();
      output.unref();
      resolve(child);
    });
  });
}
