import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_STATUS } from '../packages/server/src/kernel/errors.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'packages/server/src');

interface Source {
  /** Path below packages/server/src. */
  readonly path: string;
  readonly text: string;
  readonly isTest: boolean;
  /** Static, dynamic and type imports: packages by name, our own files by path below src. */
  readonly imports: readonly string[];
  /** Those that remain when types are gone. */
  readonly valueImports: readonly string[];
}

function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function importsOf(path: string, text: string): string[] {
  const specifiers = text.matchAll(/(?:^|\s|\()(?:from|import)\s*\(?\s*'([^']+)'/g);
  return Array.from(specifiers, ([, specifier = '']) =>
    specifier.startsWith('.')
      ? relative(SRC, resolve(SRC, dirname(path), specifier)).replace(/\.js$/, '.ts')
      : specifier,
  );
}

function withoutTypeImports(text: string): string {
  return text.replace(/^(import|export) type [^;]*;/gm, '');
}

const sources: Source[] = filesBelow(SRC)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => {
    const path = relative(SRC, file);
    const text = readFileSync(file, 'utf8');
    const isTest = /\.test\.ts$|(^|[/.])contract\.ts$/.test(path) || path.startsWith('testing/');
    const valueImports = importsOf(path, withoutTypeImports(text));
    return { path, text, isTest, imports: importsOf(path, text), valueImports };
  });
const production = sources.filter((source) => !source.isTest);

const floorOf = (path: string) => path.split('/')[0];
const capabilityOf = (path: string) => /^capabilities\/([^/]+)\//.exec(path)?.[1];
const isOurs = (specifier: string) => /^(kernel|platform|capabilities|app|testing)\//.test(specifier);

/** `file imports what` for every import that the rule refuses. */
function refusedImports(
  among: readonly Source[],
  isRefused: (from: string, to: string) => boolean,
): string[] {
  return among.flatMap(({ path, imports }) =>
    imports.filter((to) => isRefused(path, to)).map((to) => `${path} imports ${to}`),
  );
}

/** `file:line` of every match outside comments. */
function linesMatching(among: readonly Source[], pattern: RegExp): string[] {
  return among.flatMap(({ path, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ line, at: `${path}:${index + 1}` }))
      .filter(({ line }) => !/^\s*(\/\/|\*|\/\*)/.test(line) && pattern.test(line))
      .map(({ line, at }) => `${at} ${line.trim()}`),
  );
}

describe('the dependency rule', () => {
  it('each floor knows only those below it', () => {
    const below: Record<string, string[]> = {
      kernel: ['kernel'],
      platform: ['kernel', 'platform'],
      capabilities: ['kernel', 'platform', 'capabilities'],
      app: ['kernel', 'platform', 'capabilities', 'app'],
    };
    const isRefused = (from: string, to: string) =>
      isOurs(to) && !below[floorOf(from)!]?.includes(floorOf(to)!);
    expect(refusedImports(production, isRefused)).toEqual([]);
  });

  it('kernel uses no package but zod and node:util', () => {
    const isRefused = (from: string, to: string) =>
      floorOf(from) === 'kernel' && !isOurs(to) && !['zod', 'node:util'].includes(to);
    expect(refusedImports(production, isRefused)).toEqual([]);
  });

  it('a capability enters another by its door', () => {
    const isRefused = (from: string, to: string) => {
      const [own, other] = [capabilityOf(from), capabilityOf(to)];
      return (
        own !== undefined && other !== undefined && own !== other && to !== `capabilities/${other}/index.ts`
      );
    };
    expect(refusedImports(production, isRefused)).toEqual([]);
  });

  it('inside a capability: routes, then service, then store', () => {
    const isRefused = (from: string, to: string) => {
      if (capabilityOf(from) === undefined || capabilityOf(from) !== capabilityOf(to)) return false;
      const [fromName, toName] = [basename(from), basename(to)];
      return (
        (fromName.startsWith('routes') && toName === 'store.ts') ||
        (fromName === 'store.ts' && (toName === 'service.ts' || toName.startsWith('routes'))) ||
        (fromName === 'service.ts' && toName.startsWith('routes'))
      );
    };
    expect(refusedImports(production, isRefused)).toEqual([]);
  });
});

describe('what only one place may use', () => {
  const within = (path: string, places: readonly string[]) => places.some((place) => path.startsWith(place));

  it.each([
    // The migrator's is a checksum, the resolver's a query id: no keys.
    ['node:crypto', ['platform/crypto/', 'platform/storage/migrator.ts', 'platform/egress/resolver.ts']],
    ['undici', ['platform/egress/']],
    ['node:https', ['platform/egress/']],
    ['node:tls', ['platform/egress/', 'platform/http/tls-', 'capabilities/dyn-db/providers/tls.ts']],
    ['node:dns', ['platform/egress/']],
    // The database's name is resolved as its driver resolves it, to be kept out of the guard's reach.
    ['node:dns/promises', ['platform/egress/', 'app/own-endpoints.ts']],
    ['node:dgram', ['platform/egress/']],
    // A listener, and the server's question to its own health.
    ['node:http', ['platform/http/', 'app/']],
    ['fastify', ['platform/http/', 'app/']],
    ['pg', ['platform/storage/', 'capabilities/dyn-db/providers/postgres/']],
    ['mysql2', ['capabilities/dyn-db/providers/mysql/']],
    ['node:sqlite', ['platform/storage/']],
    ['@photostructure/sqlite', ['platform/storage/']],
    ['ioredis', ['platform/limits/']],
    ['pino', ['platform/log/']],
    ['@node-rs/argon2', ['platform/crypto/']],
    ['jose', ['platform/crypto/']],
    ['node:child_process', []],
    ['node:vm', []],
  ] as const)('%s', (name, places) => {
    const importers = production
      .filter(({ valueImports }) => valueImports.includes(name))
      .map(({ path }) => path);
    expect(importers.filter((path) => !within(path, places))).toEqual([]);
  });

  it.each([
    ['Date.now', /\bDate\.now\b|\bnew Date\(\)/, ['kernel/clock.ts']],
    ['performance.now', /\bperformance\.now\b/, ['kernel/clock.ts']],
    ['timers', /\bset(Timeout|Interval)\(/, ['kernel/clock.ts']],
    ['Math.random', /\bMath\.random\b/, []],
    ['process.env', /\bprocess\.env\b/, ['platform/config/env.ts']],
    ['console', /\bconsole\./, []],
    ['fetch', /(?<![.\w])fetch\(/, []],
    ['eval', /\beval\(|\bnew Function\(/, []],
  ] as const)('%s', (_name, pattern, places) => {
    const elsewhere = production.filter(({ path }) => !within(path, places));
    expect(linesMatching(elsewhere, pattern)).toEqual([]);
  });

  it('raw SQL names no table outside migrations and the storage platform', () => {
    const elsewhere = production.filter(({ path }) => !/^platform\/storage\/|\/migrations\//.test(path));
    const refused = elsewhere.filter(({ text }) =>
      /\bsql(<[^`]*>)?`[^`]*\b(from|join|into|update|table)\s/i.test(text),
    );
    expect(refused.map(({ path }) => path)).toEqual([]);
  });
});

describe('names and sizes', () => {
  const isKebab = (name: string) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name);

  it('files and folders are kebab-case', () => {
    const refused = sources.filter(({ path }) =>
      path.split('/').some((part) => part.split('.').some((word) => !isKebab(word))),
    );
    expect(refused.map(({ path }) => path)).toEqual([]);
  });

  it('no attic: utils, helpers, common, misc, manager, base', () => {
    const attic = /(^|[/-])(utils?|helpers?|common|misc|managers?|base)([/.-]|$)/;
    expect(sources.filter(({ path }) => attic.test(path)).map(({ path }) => path)).toEqual([]);
  });

  it('index.ts is a door: exports and nothing else', () => {
    // A folder of providers has its typed table there (docs/architecture.md).
    const doors = sources.filter(
      ({ path }) => basename(path) === 'index.ts' && !path.endsWith('/providers/index.ts'),
    );
    const refused = doors.filter(({ path, text }) => {
      const statements = text
        .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
        .replace(/\b(export|import)\b[^;]*?\bfrom\s*'[^']*';/g, '')
        .replace(/export const migrations(: [^=]+)? = \[[\w\s,]*\];/, '');
      return capabilityOf(path) === undefined || statements.trim() !== '';
    });
    expect(refused.map(({ path }) => path)).toEqual([]);
  });

  it('files stay below 400 lines', () => {
    const long = sources.filter(({ text, isTest }) => !isTest && text.split('\n').length > 400);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('marks are NOTE: and TODO(issue):', () => {
    expect(linesMatching(sources, /\b(FIXME|XXX|HACK)\b|\bTODO(?!\(\w+\):)/)).toEqual([]);
  });

  it('no test is alone', () => {
    expect(linesMatching(sources, /\b(it|test|describe)\.only\b/)).toEqual([]);
  });
});

/** Whether a path is that file, or lies in that folder, wherever it stands. */
const isAt = (name: string) => (path: string) =>
  path.endsWith(`/${name}`) || path.includes(`/${name.replace(/\/$/, '')}/`);

describe('documents', () => {
  const folders = (floor: string) =>
    readdirSync(join(SRC, floor), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${floor}/${entry.name}`);
  const floors = ['platform', 'capabilities'].filter((floor) => existsSync(join(SRC, floor)));
  const lineCount = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n').length;

  it.each(floors.flatMap(folders))('%s has a README of at most 40 lines', (folder) => {
    expect(lineCount(join(SRC, folder, 'README.md'))).toBeLessThanOrEqual(40);
  });

  it.each(floors.includes('capabilities') ? folders('capabilities') : [])('%s has a door', (folder) => {
    expect(existsSync(join(SRC, folder, 'index.ts'))).toBe(true);
  });

  it('AGENTS.md has at most 120 lines, and every path it names exists', () => {
    const path = join(ROOT, 'AGENTS.md');
    const named = Array.from(
      readFileSync(path, 'utf8').matchAll(/`([\w./-]+\/[\w./-]*)`/g),
      ([, name = '']) => name,
    );
    expect(lineCount(path)).toBeLessThanOrEqual(120);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  });

  it('every path that the architecture and the how-tos name exists', () => {
    const paths = ['packages', 'tests', 'scripts', 'docs', 'bench', 'changes'].flatMap((folder) =>
      filesBelow(join(ROOT, folder)).map((file) => `/${relative(ROOT, file)}`),
    );
    const documents = [join(ROOT, 'docs/architecture.md'), ...filesBelow(join(ROOT, 'docs/how-to'))];
    const named = documents.flatMap((file) =>
      Array.from(readFileSync(file, 'utf8').matchAll(/`([a-z][\w.-]*\/[\w./-]*)`/g), ([, name = '']) => name),
    );
    expect(named.length).toBeGreaterThan(40);
    // `NNNN` stands for a number to be drawn.
    const missing = named.filter((name) => !name.includes('NNNN') && !paths.some(isAt(name)));
    expect(missing).toEqual([]);
  });

  it('every file that a README of the server names exists, beside it or below', () => {
    const missing = filesBelow(SRC)
      .filter((file) => basename(file) === 'README.md')
      .flatMap((readme) => {
        const folder = dirname(readme);
        const below = filesBelow(folder).map((file) => `/${relative(folder, file)}`);
        const isThere = (name: string) =>
          below.some(isAt(name)) || [folder, SRC, ROOT].some((from) => existsSync(resolve(from, name)));
        return Array.from(
          readFileSync(readme, 'utf8').matchAll(/`([\w./-]+\.(?:ts|mjs))`/g),
          ([, name = '']) => name,
        )
          .filter((name) => !isThere(name))
          .map((name) => `${relative(SRC, readme)}: ${name}`);
      });
    expect(missing).toEqual([]);
  });

  it('links between documents lead somewhere', () => {
    const documents = ['README.md', 'AGENTS.md', 'CONTRIBUTING.md', 'SECURITY.md']
      .map((name) => join(ROOT, name))
      .concat(filesBelow(join(ROOT, 'docs')), filesBelow(SRC))
      .filter((file) => file.endsWith('.md') && existsSync(file));
    const broken = documents.flatMap((file) =>
      Array.from(
        readFileSync(file, 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g),
        ([, link = '']) => link,
      )
        .filter((link) => !existsSync(resolve(dirname(file), link)))
        .map((link) => `${relative(ROOT, file)}: ${link}`),
    );
    expect(broken).toEqual([]);
  });
});

describe('packages and errors', () => {
  const manifests = [
    'package.json',
    ...readdirSync(join(ROOT, 'packages')).map((name) => `packages/${name}/package.json`),
  ];

  it('every version is pinned exactly', () => {
    const loose = manifests.flatMap((path) => {
      const manifest = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Record<
        string,
        Record<string, string>
      >;
      return ['dependencies', 'devDependencies', 'overrides']
        .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
        .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
        .map(([name, version]) => `${path}: ${name} ${version}`);
    });
    expect(loose).toEqual([]);
  });

  it.each(Object.keys(ERROR_STATUS))('the error type %s is raised somewhere and tested', (type) => {
    const names = (among: readonly Source[]) =>
      among
        .filter(({ path, text }) => path !== 'kernel/errors.ts' && text.includes(`'${type}'`))
        .map(({ path }) => path);
    expect(names(production)).not.toEqual([]);
    expect(names(sources.filter(({ isTest }) => isTest))).not.toEqual([]);
  });

  it('tests that replace modules share none with others', () => {
    const config = readFileSync(join(ROOT, 'vitest.config.ts'), 'utf8');
    const sharing = sources
      .filter(({ isTest, text }) => isTest && /\bvi\.(do)?[mM]ock\(/.test(text))
      .filter(({ path }) => !config.includes(`'packages/server/src/${path}'`))
      .map(({ path }) => path);
    expect(sharing).toEqual([]);
  });

  it('migrations have numbers of their own', () => {
    const numbers = sources
      .filter(({ path }) => /\/migrations\/\d{4}-/.test(path))
      .map(({ path }) => basename(path).slice(0, 4));
    expect(numbers).toEqual([...new Set(numbers)]);
  });
});
