import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { prepareDataDir } from './private-files.js';
import { createRootKeyFile, readRootKeyFile } from './root-key-file.js';

const key = new Secret(Buffer.alloc(32, 9));

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'knox root key '));
  path = join(dir, 'root.key');
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('root key file', () => {
  it('is written 0600 and read back', () => {
    createRootKeyFile(path, key);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readRootKeyFile(path)?.reveal()).toEqual(key.reveal());
  });

  it('is null when absent, and never replaced when present', () => {
    expect(readRootKeyFile(path)).toBeNull();
    writeFileSync(path, 'x', { mode: 0o600 });
    expect(() => createRootKeyFile(path, key)).toThrow('cannot write');
  });

  it.each([0o604, 0o602, 0o620, 0o644, 0o666])('is refused with mode %o', (mode) => {
    createRootKeyFile(path, key);
    chmodSync(path, mode);
    expect(() => readRootKeyFile(path)).toThrow(`chmod 600 '${path}'`);
  });

  it.each([0o400, 0o600, 0o640, 0o440])('is read with mode %o', (mode) => {
    createRootKeyFile(path, key);
    chmodSync(path, mode);
    expect(readRootKeyFile(path)).not.toBeNull();
  });

  it.each(['', 'c2hvcnQ=', 'not base64'])('is refused when it holds %j, without showing it', (text) => {
    writeFileSync(path, text, { mode: 0o600 });
    expect(() => readRootKeyFile(path)).toThrow(
      `root key: ${path} must be the base64 of exactly 32 bytes (openssl rand -base64 32)`,
    );
  });
});

describe('data directory', () => {
  it('is made 0700 with its parents', () => {
    const made = join(dir, 'a', 'b');
    expect(prepareDataDir(made).warning).toBeNull();
    expect(statSync(made).mode & 0o777).toBe(0o700);
  });

  it('that exists keeps its mode and is warned of when open', () => {
    const made = join(dir, 'open');
    mkdirSync(made);
    chmodSync(made, 0o755);
    expect(prepareDataDir(made).warning).toContain('chmod 700');
    expect(statSync(made).mode & 0o777).toBe(0o755);
  });

  it('that cannot be made names the variable', () => {
    writeFileSync(path, '');
    expect(() => prepareDataDir(join(path, 'x'))).toThrow('KNOX_DATA_DIR: cannot make');
  });
});
