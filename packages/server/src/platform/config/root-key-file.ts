import { readFileSync, statSync } from 'node:fs';
import type { Secret } from '../../kernel/secret.js';
import { key32, RuleBroken } from './parsers.js';
import { codeOf, createPrivateFile, StartRefused } from './private-files.js';

/** Null when there is none. A file that other users may read or change is no secret and is refused. */
export function readRootKeyFile(path: string): Secret<Buffer> | null {
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new StartRefused(`root key: cannot read ${path} (${codeOf(error)})`);
  }
  // Group read stays possible: it is how orchestrators hand a mounted secret to an unprivileged user.
  if ((mode & 0o027) !== 0) {
    const quoted = `'${path.replaceAll("'", "'\\''")}'`;
    throw new StartRefused(`root key: ${path} is open to other users; run: chmod 600 ${quoted}`);
  }
  try {
    return key32(text);
  } catch (error) {
    if (error instanceof RuleBroken) throw new StartRefused(`root key: ${path} ${error.message}`);
    throw error;
  }
}

/** For the first start only: whoever calls it knows that no data is wrapped with another key. */
export function createRootKeyFile(path: string, key: Secret<Buffer>): void {
  try {
    createPrivateFile(path, `${key.reveal().toString('base64')}\n`);
  } catch (error) {
    throw new StartRefused(`root key: cannot write ${path} (${codeOf(error)})`);
  }
}
