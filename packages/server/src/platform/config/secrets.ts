import { closeSync, openSync, readSync } from 'node:fs';
import { RuleBroken } from './parsers.js';
import { codeOf } from './private-files.js';

const SECRET_FILE_BYTES_MAX = 64 * 1024;

/** Text of a `<NAME>_FILE`, without the line end that editors and `echo` add. */
export function readSecretFile(path: string): string {
  const bytes = Buffer.alloc(SECRET_FILE_BYTES_MAX + 1);
  try {
    const length = readAtMost(path, bytes);
    if (length > SECRET_FILE_BYTES_MAX) throw new RuleBroken(`${path} is larger than 64 KiB`);
    const text = bytes.toString('utf8', 0, length).replace(/\r?\n$/, '');
    if (text === '') throw new RuleBroken(`${path} is empty`);
    return text;
  } finally {
    bytes.fill(0);
  }
}

function readAtMost(path: string, into: Buffer): number {
  try {
    const file = openSync(path, 'r');
    try {
      let length = 0;
      while (length < into.length) {
        const read = readSync(file, into, length, into.length - length, null);
        if (read === 0) break;
        length += read;
      }
      return length;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new RuleBroken(`cannot read ${path} (${codeOf(error)})`);
  }
}
