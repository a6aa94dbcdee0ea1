import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { VARIABLES } from '../packages/server/src/platform/config/variables.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const textOf = (path: string) => readFileSync(join(ROOT, path), 'utf8');

describe('the container file', () => {
  const file = textOf('Dockerfile');

  it('runs the Node that the suites run on', () => {
    const lts = /^LTS=(\S+)$/m.exec(textOf('.ci/run'))?.[1];
    const images = Array.from(file.matchAll(/^FROM node:(\d+\.\d+\.\d+)-/gm), ([, version]) => version);
    expect(lts).toMatch(/^\d+\.\d+\.\d+$/);
    expect([...new Set(images)]).toEqual([lts]);
  });

  it('copies only what is there, and what .dockerignore lets through', () => {
    const sources = Array.from(file.matchAll(/^COPY (?!--from)(.*) \S+$/gm), ([, paths = '']) =>
      paths.split(' '),
    ).flat();
    const allowed = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      expect(allowed).toContain(`!${source}`);
    }
  });
});

it.each(['Dockerfile', 'deploy/knoxcall.service', 'deploy/knoxcall.env'])(
  '%s names variables of the server',
  (path) => {
    const names = Array.from(
      textOf(path).matchAll(/\b(KNOX_[A-Z_0-9]+|DATABASE_URL|MASTER_KEY_B64\w*)=/g),
      ([, name]) => name,
    );
    expect(names.length).toBeGreaterThan(1);
    expect(names.filter((name) => !(String(name) in VARIABLES))).toEqual([]);
  },
);
