import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { runProgram, skippedWithout } from './programs.js';

export interface ToolAnswer {
  readonly code: number | null;
  /** What it wrote to both of its outputs. */
  readonly text: string;
}

/** Real programs that judge certificates, and a folder for their files. */
export interface PkiTools {
  /** Writes it and gives its path. */
  file(name: string, content: string | Buffer): string;
  /** Of one that was written. */
  path(name: string): string;
  read(name: string): Buffer;
  openssl(...args: string[]): Promise<ToolAnswer>;
  certtool(...args: string[]): Promise<ToolAnswer>;
  close(): void;
}

export function openPkiTools(): PkiTools {
  const folder = mkdtempSync(join(tmpdir(), 'knox-pki-'));
  return {
    file(name, content) {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    },
    path: (name) => join(folder, name),
    read: (name) => readFileSync(join(folder, name)),
    openssl: (...args) => run('openssl', args),
    certtool: (...args) => run('certtool', args),
    close: () => rmSync(folder, { recursive: true }),
  };
}

async function run(program: string, args: readonly string[]): Promise<ToolAnswer> {
  const { code, out, error } = await runProgram(program, args);
  return { code, text: out + error };
}

/** Suites that run these programs; one that is not installed is skipped with its reason. */
export function withOpenssl(suite: () => void): void {
  withProgram('openssl', suite);
}

export function withCerttool(suite: () => void): void {
  withProgram('certtool', suite);
}

function withProgram(program: string, suite: () => void): void {
  const skipped = skippedWithout(program);
  describe.skipIf(skipped !== '')(`by ${program}${skipped}`, suite);
}
