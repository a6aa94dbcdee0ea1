import { describe, expect, it } from 'vitest';
import { decisionOfUser } from '../capabilities/permissions/index.js';
import { type Mount, mountedRoutes } from '../platform/http/mounts.js';
import type { Harness, TestCall, TestTenant } from './harness.js';

export interface MatrixSample {
  /** The path with the names of rows that the first tenant has in live mode. */
  readonly path: string;
  readonly body?: unknown;
}

const UNKNOWN = '00000000-0000-4000-8000-00000000dead';

/**
 * Every registered route at each of its mounts: 401 without a credential and with that of the other mount, 403 to a key
 * or a user without the permission, and for a route that names a row the same 404 to another tenant and to the other
 * mode as for a row that does not exist. A route that names a row and has no sample fails. Samples are by the
 * definition's path; its twin takes the same.
 */
export function describeRouteMatrix(
  open: () => Harness,
  samples: () => Readonly<Record<string, MatrixSample>>,
): void {
  const namesOf = (harness: Harness) =>
    harness.routes
      .filter(({ path, access }) => path.includes(':') && access !== 'session')
      .map(({ method, path }) => `${method} ${path}`);

  describe('every route', () => {
    it('is 401 without a credential, and with one of the other mount', async () => {
      const harness = open();
      const token = await harness.signIn(harness.tenant.ownerEmail);
      for (const { mount, path, definition } of mountedRoutes(harness.routes)) {
        if (definition.access === 'public') continue;
        const ask = async (call: TestCall) => {
          const answer = await harness.call(definition.method, path.replaceAll(':', 'x'), call);
          return [definition.method, path, answer.status, answer.json['error']?.['type']];
        };
        const refused = [definition.method, path, 401];
        expect(await ask({})).toEqual([...refused, 'authentication_required']);
        const foreign = mount === 'v1' ? { token } : { key: harness.tenant.live };
        expect(await ask(foreign)).toEqual([...refused, 'invalid_token']);
      }
    });

    it('is 403 to a key without its permission, which the answer names', async () => {
      const harness = open();
      const body = { name: 'no grants', role_ids: [] };
      const made = await harness.call('POST', '/v1/api-keys', { key: harness.tenant.live, body });
      const key = String(made.json['data']?.['api_key']);
      for (const { method, path, permission } of routesOfKeys(harness)) {
        if (permission === null) continue;
        const answer = await harness.call(method, path.replaceAll(':', 'x'), { key });
        const { type, message } = answer.json['error'] ?? {};
        expect([method, path, answer.status, type]).toEqual([method, path, 403, 'forbidden']);
        expect(message).toContain(permission);
      }
    });

    it('is 403 to a user whose role lacks its permission', async () => {
      const harness = open();
      const may = (permission: string) => decisionOfUser('viewer').may(permission);
      const token = await harness.signInAs('viewer');
      for (const { mount, path, definition } of mountedRoutes(harness.routes)) {
        const { method, permission } = definition;
        if (mount !== 'admin' || permission === null || may(permission)) continue;
        const answer = await harness.call(method, path.replaceAll(':', 'x'), { token });
        const { type, message } = answer.json['error'] ?? {};
        expect([method, path, answer.status, type]).toEqual([method, path, 403, 'forbidden']);
        expect(message).toContain(permission);
      }
    });

    it('that names a row has a sample in this matrix', () => {
      expect(Object.keys(samples()).sort()).toEqual(namesOf(open()).sort());
    });

    it.each(['v1', 'admin'] as const)(
      'answers an unknown, a foreign and a wrong-mode row alike under /%s',
      async (mount) => {
        const harness = open();
        const as = await credentials(harness, mount);
        for (const [name, { path, body }] of Object.entries(samples())) {
          const [method = '', pattern = ''] = name.split(' ');
          const ask = (call: TestCall, url = path) =>
            harness.call(method, url.replace('/v1/', `/${mount}/`), call);
          // The row is there: else its 404 to others would show nothing.
          if (method === 'GET')
            expect([name, (await ask(as(harness.tenant, 'live'))).status]).toEqual([name, 200]);
          const answers = [
            await ask({ ...as(harness.other, 'live'), body }),
            await ask({ ...as(harness.tenant, 'test'), body }),
            await ask({ ...as(harness.tenant, 'live'), body }, pattern.replace(/:[^/]+/g, UNKNOWN)),
          ];
          for (const answer of answers) {
            const error = { ...answer.json['error'], request_id: undefined };
            const expected = { ...answers[2]?.json['error'], request_id: undefined };
            expect([name, answer.status, error]).toEqual([name, 404, expected]);
          }
        }
      },
    );
  });
}

function routesOfKeys({ routes }: Harness) {
  return routes.filter(({ path }) => path.startsWith('/v1/'));
}

type CredentialOf = (tenant: TestTenant, mode: 'live' | 'test') => TestCall;

/** A key of the mode, or the owner in it. */
async function credentials(harness: Harness, mount: Mount): Promise<CredentialOf> {
  if (mount === 'v1') return (tenant, mode) => ({ key: tenant[mode] });
  const tokens = new Map<TestTenant, string>();
  for (const tenant of [harness.tenant, harness.other])
    tokens.set(tenant, await harness.signIn(tenant.ownerEmail));
  return (tenant, mode) => ({ token: tokens.get(tenant)!, headers: { 'x-knoxcall-mode': mode } });
}
