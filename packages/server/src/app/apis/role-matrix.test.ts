import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SEEDED_ROLES } from '../../capabilities/permissions/index.js';
import { USER_ROLES } from '../../kernel/principal.js';
import { systemIds } from '../../platform/crypto/random.js';
import { mountedRoutes } from '../../platform/http/mounts.js';
import type { TestAnswer, TestCall } from '../../testing/calls.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { unknownPath } from '../../testing/route-sample.js';
import { createMember, OWNER_PASSWORD } from '../../testing/tenants.js';

/** Each cell of docs/role-matrix.md, over HTTP. That the file is the one of this code is checked by `npm run generate`. */
const FILE = fileURLToPath(new URL('../../../../../docs/role-matrix.md', import.meta.url));

interface Cell {
  readonly method: string;
  readonly path: string;
  readonly role: string;
  readonly isAllowed: boolean;
}

function cellsUnder(heading: string): Cell[] {
  const text = readFileSync(FILE, 'utf8');
  const section = text.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!;
  const [head, , ...rows] = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
  const [, , ...roles] = head!;
  return rows.flatMap(([method = '', path = '', ...marks]) =>
    roles.map((role, i) => ({ method, path, role, isAllowed: marks[i] === '✓' })),
  );
}

let rig: MatrixRig;
beforeAll(async () => {
  rig = await openMatrixRig();
});
afterAll(() => rig.close());

/** Of a row that is not there: whoever is let through finds nothing, or is told what the body lacks. */
function pathOf({ path }: Cell): string {
  return path === '/admin/tenants/:id' ? `/admin/tenants/${rig.tenant.id}` : unknownPath(path);
}

const typeOf = ({ json }: TestAnswer) => json['error']?.['type'];

/** What is refused for another reason has passed the role: a missing step-up (auth.md §7), an unknown client. */
function isLetThrough(answer: TestAnswer): boolean {
  if (answer.status === 401) return typeOf(answer) === 'step_up_required';
  return answer.status < 500 && answer.status !== 405 && !isForbidden(answer);
}

function isForbidden(answer: TestAnswer): boolean {
  return answer.status === 403 && typeOf(answer) === 'forbidden';
}

/** Where the permission is judged by what is asked for, that has to be there. */
function bodyOf({ path }: Cell): object {
  if (path === '/admin/tenants/:id') return { ephemeral_enabled: null };
  return path.endsWith('/client-tokens') ? { action: 'decrypt', data: 1 } : {};
}

async function cellsAmiss(cells: readonly Cell[], credentials: ReadonlyMap<string, TestCall>) {
  const amiss = [];
  for (const cell of cells) {
    const body = bodyOf(cell);
    const sent = cell.method === 'GET' ? {} : { body };
    const answer = await rig.ask(cell.method, pathOf(cell), { ...sent, ...credentials.get(cell.role)! });
    const holds = cell.isAllowed ? isLetThrough(answer) : isForbidden(answer);
    if (!holds) amiss.push([cell.role, cell.method, cell.path, cell.isAllowed, answer.status, answer.text]);
  }
  return amiss;
}

const placesUnder = (mount: 'v1' | 'admin') =>
  mountedRoutes(rig.routes)
    .filter((place) => place.mount === mount && (place.definition.access ?? 'tenant') === 'tenant')
    .map(({ definition, path }) => `${definition.method} ${path}`);
const namesOf = (cells: readonly Cell[]) => [
  ...new Set(cells.map(({ method, path }) => `${method} ${path}`)),
];

describe('of the signed-in users', () => {
  it('every endpoint under /admin has its cells, and every cell holds', async () => {
    const cells = cellsUnder('Signed-in users');
    expect(namesOf(cells).sort()).toEqual(placesUnder('admin').sort());
    const credentials = new Map<string, TestCall>();
    for (const role of USER_ROLES) {
      const email =
        role === 'owner'
          ? rig.tenant.ownerEmail
          : await createMember({ ...rig, ids: systemIds }, rig.tenant, role);
      const token = await rig.signIn(email, OWNER_PASSWORD);
      credentials.set(role[0]!.toUpperCase() + role.slice(1), { token });
    }
    expect([...credentials.keys()]).toEqual([...new Set(cells.map(({ role }) => role))]);
    expect(await cellsAmiss(cells, credentials)).toEqual([]);
  });
});

describe('of the keys', () => {
  it('every endpoint under /v1 has its cells, and every cell holds', async () => {
    const cells = cellsUnder('API keys');
    expect(namesOf(cells).sort()).toEqual([...placesUnder('v1'), 'any /v1/proxy'].sort());
    const make = async (role_ids?: string[]): Promise<TestCall> => {
      const body = { name: 'matrix', ...(role_ids && { role_ids }) };
      const { json } = await rig.ask('POST', '/v1/api-keys', { key: rig.tenant.live, body });
      return { key: json['data']['api_key'] };
    };
    const credentials = new Map([['Key', await make()]]);
    for (const { id, name, appliesTo } of SEEDED_ROLES)
      if (appliesTo === 'api_key') credentials.set(name.replace('Key — ', ''), await make([id]));
    credentials.set('[]', await make([]));
    expect([...credentials.keys()]).toEqual([...new Set(cells.map(({ role }) => role))]);
    const proxied = cells
      .filter(({ path }) => path === '/v1/proxy')
      .map((cell) => ({ ...cell, method: 'GET' }));
    const others = cells.filter(({ path }) => path !== '/v1/proxy');
    expect(await cellsAmiss([...others, ...proxied], credentials)).toEqual([]);
  });
});

it('reports a cell that says more or less than the server does', async () => {
  const cell = { method: 'GET', path: '/v1/vaults', role: 'Key', isAllowed: false };
  const writes = { method: 'POST', path: '/v1/vaults', role: '[]', isAllowed: true };
  const { json } = await rig.ask('POST', '/v1/api-keys', {
    key: rig.tenant.live,
    body: { name: 'n', role_ids: [] },
  });
  const credentials = new Map<string, TestCall>([
    ['Key', { key: rig.tenant.live }],
    ['[]', { key: json['data']['api_key'] }],
  ]);
  const amiss = await cellsAmiss([cell, writes], credentials);
  expect(amiss.map(([role, , , , status]) => [role, status])).toEqual([
    ['Key', 200],
    ['[]', 403],
  ]);
});
