import type { Mode, TenantId } from '../kernel/ids.js';
import { systemIds } from '../platform/crypto/random.js';
import { type Mount, mountedRoutes } from '../platform/http/mounts.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { callInProcess, type TestAnswer, type TestCall } from './calls.js';
import { type InstallationOptions, openInstallation, type TestInstallation } from './installation.js';
import { stepUpWith } from './step-up.js';
import { createMember, createTestTenant, OWNER_PASSWORD, type TestTenant } from './tenants.js';

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
  /** The admin token of the owner. */
  readonly token: string;
  /** The same world of a new owner beside the first one, for what a user does with its own account. */
  withNewUser(): Promise<World>;
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

/** Whose step-up a call takes. */
interface Caller {
  readonly token: string;
  readonly tenant: TestTenant;
}

/** Calls that use no step-up up. */
const MALFORMED = new Set([400, 413, 415]);

export const MOUNTS: readonly Mount[] = ['v1', 'admin'];
export const MODES: readonly Mode[] = ['live', 'test'];

/** What is done to a tenant wants a step-up of that one. */
const OF_TENANT = /^\/admin\/tenants\/([0-9a-f-]{36})$/;

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
  const proven = mountedRoutes(installation.routes).filter(({ definition }) => definition.stepUp);
  const patterns = proven.map(({ definition, path }) => ({
    method: definition.method,
    path: new RegExp(`^${path.replace(/:[^/]+/g, '[^/]+')}$`),
    isConsumed: definition.stepUp?.isConsumed === true,
  }));
  /** Of each owner and tenant one until a call uses it up; made beforehand, so that no call is seen to write it. */
  const stepUps = new Map<string, string>();
  const renewStepUp = async (token: string, id: TenantId) =>
    stepUps.set(`${token} ${id}`, await stepUpWith({ ...services, db }, token, id));
  for (const [one, token] of tokens) await renewStepUp(token, one.id);

  /** With the step-up that the call's endpoint asks for, as a user who has just taken one. */
  async function askProven(method: string, path: string, call: TestCall, by: Caller) {
    const [pathname = ''] = path.split('?');
    const rule = patterns.find((one) => one.method === method && one.path.test(pathname));
    if (!rule) return ask(method, path, call);
    const [, named] = OF_TENANT.exec(pathname) ?? [];
    const id = named ?? by.tenant.id;
    const stepUp = stepUps.get(`${by.token} ${id}`);
    const headers = { ...call.headers, ...(named !== undefined && { 'x-tenant-id': named }) };
    const answer = await ask(method, path, { ...(stepUp && { stepUp }), ...call, headers });
    if (rule.isConsumed && !MALFORMED.has(answer.status)) await renewStepUp(by.token, by.tenant.id);
    return answer;
  }

  let newUsers = 0;

  function worldOf(mount: Mount, tenant: TestTenant, mode: Mode, token: string): World {
    const as: TestCall =
      mount === 'v1'
        ? { key: tenant[mode] }
        : // Named, because a sample may make its user a member of further ones.
          { token, headers: { 'x-knoxcall-mode': mode, 'x-tenant-id': tenant.id } };
    const call: World['call'] = (method, path, more = {}) =>
      askProven(
        method,
        at(mount, path),
        { ...as, ...more, headers: { ...as.headers, ...more.headers } },
        { token, tenant },
      );
    return {
      mount,
      mode,
      tenant,
      installation,
      token,
      call,
      async withNewUser() {
        const email = `user-${++newUsers}@${tenant.slug}.example`;
        await createMember({ ...installation, ids: systemIds }, tenant, 'owner', email);
        const own = await installation.signIn(email, OWNER_PASSWORD);
        await renewStepUp(own, tenant.id);
        return worldOf(mount, { ...tenant, ownerEmail: email }, mode, own);
      },
      async create(path, body) {
        const { status, text, json } = await call('POST', path, { body });
        // 200 where the contract says so of the whole family.
        if (status !== 201 && status !== 200) throw new Error(`POST ${path} at ${mount}: ${status} ${text}`);
        if (path === '/admin/tenants') await renewStepUp(token, json['data'].id);
        // Some families answer bare under `/admin`.
        return json['data'] ?? json;
      },
      async idsIn(path) {
        const { status, text, json } = await call('GET', path);
        if (status !== 200) throw new Error(`GET ${path} at ${mount}: ${status} ${text}`);
        const names = { logs: 'request_id', certs: 'serial_hex', 'acme-keys': 'kid' } as Record<
          string,
          string
        >;
        const last = path.slice(path.lastIndexOf('/') + 1);
        const name = (!path.startsWith('/v1/webhooks/') && names[last]) || 'id';
        const data = json['data'] ?? json;
        // Some lists have a name of their own (contract README §5).
        const rows = Array.isArray(data) ? data : (Object.values(data)[0] as Record<string, string>[]);
        return rows.map((row: Record<string, string>) => row[name]!);
      },
    };
  }

  return {
    ...installation,
    tenant,
    other,
    ask,
    world: (mount, tenant, mode) => worldOf(mount, tenant, mode, tokens.get(tenant)!),
  };
}

function at(mount: Mount, path: string): string {
  return path.replace(/^\/v1\//, `/${mount}/`);
}

export function nameOf({ method, path }: RouteDefinition): string {
  return `${method} ${path}`;
}
