import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';

export interface ToolAnswer {
  /** Null where it was killed. */
  readonly code: number | null;
  /** What it wrote to both of its outputs. */
  readonly text: string;
}

/** Real programs that judge certificates, and a folder for their files. */
export interface PkiTools {
  /** Writes it and gives its path. */
  file(name: string, content: string | Buffer): string;
  openssl(...args: string[]): ToolAnswer;
  certtool(...args: string[]): ToolAnswer;
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
    openssl: (...args) => run('openssl', args),
    certtool: (...args) => run('certtool', args),
    close: () => rmSync(folder, { recursive: true }),
  };
}

function run(program: string, args: readonly string[]): ToolAnswer {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: TOOL_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  return { code: status, text: `${stdout}${stderr}` };
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
