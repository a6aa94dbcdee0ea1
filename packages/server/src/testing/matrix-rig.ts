import type { Mode } from '../kernel/ids.js';
import { systemIds } from '../platform/crypto/random.js';
import type { Mount } from '../platform/http/mounts.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { callInProcess, type TestAnswer, type TestCall } from './calls.js';
import { type InstallationOptions, openInstallation, type TestInstallation } from './installation.js';
import { createTestTenant, OWNER_PASSWORD, type TestTenant } from './tenants.js';

/** Who calls: all of a tenant at one mount and in one mode. */
export interface World {
  readonly mount: Mount;
  readonly mode: Mode;
  readonly tenant: TestTenant;
  readonly installation: TestInstallation;
  /** `/v1/…` is called at the world's mount. The credential is the key of the mode, or the owner in it. */
  call(method: string, path: string, call?: TestCall): Promise<TestAnswer>;
  /** The `data` of what was made. */
  create(path: string, body: unknown): Promise<{ readonly id: string } & Record<string, string>>;
  /** What a list shows, by what its rows are called elsewhere: a logged call by the id of its request. */
  idsIn(path: string): Promise<string[]>;
}

export interface MatrixRig extends TestInstallation {
  readonly tenant: TestTenant;
  /** To whom nothing of the first may show. */
  readonly other: TestTenant;
  ask(method: string, path: string, call?: TestCall): Promise<TestAnswer>;
  world(mount: Mount, tenant: TestTenant, mode: Mode): World;
}

export const MOUNTS: readonly Mount[] = ['v1', 'admin'];
export const MODES: readonly Mode[] = ['live', 'test'];

/** The whole server with two tenants, neither of them the operator's. */
export async function openMatrixRig(options: InstallationOptions = {}): Promise<MatrixRig> {
  const installation = await openInstallation(options);
  const { app, db, services } = installation;
  const makers = { ...services, db, ids: systemIds };
  const [tenant, other] = [await createTestTenant(makers, 'acme'), await createTestTenant(makers, 'globex')];
  const tokens = new Map<TestTenant, string>();
  for (const one of [tenant, other])
    tokens.set(one, await installation.signIn(one.ownerEmail, OWNER_PASSWORD));
  const ask = (method: string, path: string, call: TestCall = {}) => callInProcess(app, method, path, call);

  return {
    ...installation,
    tenant,
    other,
    ask,
    world(mount, tenant, mode) {
      const token = tokens.get(tenant)!;
      const as: TestCall =
        mount === 'v1' ? { key: tenant[mode] } : { token, headers: { 'x-knoxcall-mode': mode } };
      const call: World['call'] = (method, path, more = {}) =>
        ask(method, at(mount, path), { ...as, ...more, headers: { ...as.headers, ...more.headers } });
      return {
        mount,
        mode,
        tenant,
        installation,
        call,
        async create(path, body) {
          const { status, text, json } = await call('POST', path, { body });
          // 200 where the contract says so of the whole family.
          if (status !== 201 && status !== 200)
            throw new Error(`POST ${path} at ${mount}: ${status} ${text}`);
          return json['data'];
        },
        async idsIn(path) {
          const { status, text, json } = await call('GET', path);
          if (status !== 200) throw new Error(`GET ${path} at ${mount}: ${status} ${text}`);
          const name = path === '/v1/logs' ? 'request_id' : 'id';
          return json['data'].map((row: Record<string, string>) => row[name]);
        },
      };
    },
  };
}

function at(mount: Mount, path: string): string {
  return path.replace(/^\/v1\//, `/${mount}/`);
}

export function nameOf({ method, path }: RouteDefinition): string {
  return `${method} ${path}`;
}
