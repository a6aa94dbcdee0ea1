import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';

export interface ToolAnswer {
  readonly code: number;
  /** What it wrote to both of its outputs. */
  readonly text: string;
}

/** Real programs that judge certificates, and a folder for their files. */
export interface PkiTools {
  /** Writes it and gives its path. */
  file(name: string, content: string | Buffer): string;
  read(name: string): Buffer;
  openssl(...args: string[]): Promise<ToolAnswer>;
  certtool(...args: string[]): Promise<ToolAnswer>;
  close(): void;
}

const TOOL_MS = 30_000;

export function openPkiTools(): PkiTools {
  const folder = mkdtempSync(join(tmpdir(), 'knox-pki-'));
  return {
    file(name, content) {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    },
    read: (name) => readFileSync(join(folder, name)),
    openssl: (...args) => run('openssl', args),
    certtool: (...args) => run('certtool', args),
    close: () => rmSync(folder, { recursive: true }),
  };
}

/** Beside this process, which may be the server that it asks. */
function run(program: string, args: readonly string[]): Promise<ToolAnswer> {
  const options = { timeout: TOOL_MS, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: error ? Number(error.code) : 0, text: `${stdout}${stderr}` });
    });
  });
}

const isThere = (program: string, versionArg: string) =>
  spawnSync(program, [versionArg], { timeout: TOOL_MS }).status === 0;

/** Suites that run these programs; one that is not installed is skipped with its reason. */
export function withOpenssl(suite: () => void): void {
  withProgram('openssl', 'version', 'openssl', suite);
}

export function withCerttool(suite: () => void): void {
  withProgram('certtool', '--version', 'gnutls-bin', suite);
}

function withProgram(program: string, versionArg: string, packageName: string, suite: () => void): void {
  if (isThere(program, versionArg)) describe(`by ${program}`, suite);
  else describe.skip(`by ${program} (skipped: not installed; Debian package ${packageName})`, suite);
}
