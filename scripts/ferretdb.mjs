// Builds FerretDB 1.x, an independent server of the MongoDB protocol, for machines where no MongoDB can be had, and prints
// the path of its binary: `KNOX_TEST_FERRETDB="$(node scripts/ferretdb.mjs)" npm test`. It is kept outside the repository.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { TOOL_CACHE } from './mongodb.mjs';
import { CommandFailed, run } from './terminal.mjs';

const MODULE = 'github.com/FerretDB/FerretDB';
const VERSION = 'v1.24.2';
// Counts the changes below, so that a binary without them is not taken for one with them.
const REVISION = 1;
const BUILD_MS_MAX = 600_000;

/**
 * FerretDB refuses a user with roles as not implemented. With these it keeps the roles and gives them back in `usersInfo`;
 * it still enforces none.
 */
const CHANGES = [
  [
    'internal/handler/msg_createuser.go',
    'if _, err = common.GetRequiredParam[*types.Array](document, "roles"); err != nil {',
    'var roles *types.Array\n\n\tif roles, err = common.GetRequiredParam[*types.Array](document, "roles"); err != nil {',
  ],
  [
    'internal/handler/msg_createuser.go',
    `	if err = common.UnimplementedNonDefault(document, "roles", func(v any) bool {
		r, ok := v.(*types.Array)
		return ok && r.Len() == 0
	}); err != nil {
		return nil, err
	}
`,
    '',
  ],
  [
    'internal/handler/msg_createuser.go',
    'Mechanisms: mechanisms,\n',
    'Mechanisms: mechanisms,\n\t\t\tRoles:      roles,\n',
  ],
  [
    'internal/handler/users/createuser.go',
    '\tMechanisms *types.Array\n',
    '\tMechanisms *types.Array\n\tRoles      *types.Array\n',
  ],
  [
    'internal/handler/users/createuser.go',
    '\tid := uuid.New()\n',
    '\troles := params.Roles\n\tif roles == nil {\n\t\troles = types.MakeArray(0)\n\t}\n\n\tid := uuid.New()\n',
  ],
  ['internal/handler/users/createuser.go', '"roles", types.MakeArray(0),', '"roles", roles,'],
];

const binary = join(TOOL_CACHE, `ferretdb-${VERSION}-${REVISION}-${process.platform}-${process.arch}`);
try {
  if (!existsSync(binary)) await build();
  console.log(binary);
} catch (error) {
  const output =
    error instanceof CommandFailed ? error.output.trimEnd().split('\n').slice(-30).join('\n') : '';
  console.error(`FerretDB could not be built: ${error.message}\n${output}`);
  process.exit(1);
}

async function build() {
  const workDir = mkdtempSync(join(tmpdir(), 'knox-ferretdb-'));
  try {
    const options = { cwd: workDir, env: { ...process.env, CGO_ENABLED: '0' }, timeout: BUILD_MS_MAX };
    const { Dir } = JSON.parse(
      await run('go', ['mod', 'download', '-json', `${MODULE}@${VERSION}`], options),
    );
    const source = join(workDir, 'source');
    cpSync(Dir, source, { recursive: true });
    makeWritable(source);
    for (const [file, from, to] of CHANGES) change(join(source, file), from, to);
    // Its releases generate this; without it the server ends at its start, which is why "go install" is not enough.
    writeFileSync(join(source, 'build', 'version', 'version.txt'), `${VERSION}\n`);
    const built = join(workDir, 'ferretdb');
    await run('go', ['build', '-trimpath', '-o', built, './cmd/ferretdb'], { ...options, cwd: source });
    mkdirSync(dirname(binary), { recursive: true });
    // Two builds at once: each puts a whole file in its place.
    const beside = `${binary}.${process.pid}`;
    cpSync(built, beside);
    renameSync(beside, binary);
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

/** Go's module cache is read-only, and so is a copy of it. */
function makeWritable(folder) {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) makeWritable(path);
    else chmodSync(path, 0o644);
  }
}

function change(path, from, to) {
  const parts = readFileSync(path, 'utf8').split(from);
  if (parts.length !== 2) throw new Error(`${path} is not the text that the change is for`);
  writeFileSync(path, parts.join(to));
}
