// What imports what in the server's production code, read from its import statements: docs/structure.md.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { ROOT } from './terminal.mjs';

const SRC = join(ROOT, 'packages/server/src');
const isTest = (path) => /\.test\.ts$|\bcontract\.ts$/.test(path);

/** Folders of one floor, each with the folders of `platform` and `capabilities` that its files import. */
function foldersOf(floor) {
  const names = readdirSync(join(SRC, floor), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names
    .map(({ name }) => ({ name, files: filesBelow(join(SRC, floor, name)) }))
    .map(({ name, files }) => {
      const others = files.flatMap(importsOf).filter((folder) => folder !== `${floor}/${name}`);
      return { name, uses: [...new Set(others)].sort() };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path.endsWith('.ts') && !isTest(basename(path)));
}

function importsOf(file) {
  const specifiers = readFileSync(file, 'utf8').matchAll(/\bfrom '(\.[^']+)'/g);
  return Array.from(specifiers, ([, to]) => relative(SRC, resolve(dirname(file), to)))
    .filter((path) => /^(platform|capabilities)\//.test(path))
    .map((path) => path.split('/').slice(0, 2).join('/'));
}

export function structure(note) {
  const capabilities = foldersOf('capabilities');
  const platform = foldersOf('platform');
  const within = (uses, floor) =>
    uses.filter((folder) => folder.startsWith(`${floor}/`)).map((folder) => folder.slice(floor.length + 1));
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const listed = (names) => names.join(', ') || '–';
  const link = (floor, name) => `[${name}](../packages/server/src/${floor}/${name}/README.md)`;
  return `# Structure

${note}

What imports what in the production code of \`packages/server/src\`, types included. What each folder is for stands in its README;
why the floors are as they are: [architecture](architecture.md).

## Capabilities

${row(['Capability', 'Imports capabilities', 'Imports of platform'])}
|---|---|---|
${capabilities
  .map(({ name, uses }) =>
    row([link('capabilities', name), listed(within(uses, 'capabilities')), listed(within(uses, 'platform'))]),
  )
  .join('\n')}

## Platform

${row(['Folder', 'Imports of platform'])}
|---|---|
${platform
  .map(({ name, uses }) => row([link('platform', name), listed(within(uses, 'platform'))]))
  .join('\n')}
`;
}
