import { describe, expect, it } from 'vitest';
import type { Harness } from './harness.js';

export interface MatrixSample {
  /** The path with the names of rows that the first tenant has in live mode. */
  readonly path: string;
  readonly body?: unknown;
}

const UNKNOWN = '00000000-0000-4000-8000-00000000dead';

/**
 * Every route under `/v1`: 401 without a credential, 403 to a key without the permission, and for a route that names a
 * row the same 404 to another tenant and to the other mode as for a row that does not exist. A route that names a row
 * and has no sample fails.
 */
export function describeRouteMatrix(
  open: () => Harness,
  samples: () => Readonly<Record<string, MatrixSample>>,
): void {
  describe('every route', () => {
    it('is 401 without a credential', async () => {
      const harness = open();
      for (const { method, path } of routesOfKeys(harness)) {
        const answer = await harness.call(method, path.replaceAll(':', 'x'));
        expect([method, path, answer.status, answer.json['error']?.['type']]).toEqual([
          method,
          path,
          401,
          'authentication_required',
        ]);
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

    it('that names a row has a sample in this matrix', () => {
      const named = routesOfKeys(open()).filter(({ path }) => path.includes(':'));
      expect(Object.keys(samples()).sort()).toEqual(
        named.map(({ method, path }) => `${method} ${path}`).sort(),
      );
    });

    it('answers an unknown, a foreign and a wrong-mode row alike', async () => {
      const harness = open();
      for (const [name, { path, body }] of Object.entries(samples())) {
        const [method = '', pattern = ''] = name.split(' ');
        // The row is there: else its 404 to others would show nothing.
        if (method === 'GET') {
          const own = await harness.call(method, path, { key: harness.tenant.live });
          expect([name, own.status]).toEqual([name, 200]);
        }
        const answers = [
          await harness.call(method, path, { key: harness.other.live, body }),
          await harness.call(method, path, { key: harness.tenant.test, body }),
          await harness.call(method, pattern.replace(/:[^/]+/g, UNKNOWN), { key: harness.tenant.live, body }),
        ];
        for (const answer of answers) {
          const error = { ...answer.json['error'], request_id: undefined };
          const expected = { ...answers[2]?.json['error'], request_id: undefined };
          expect([name, answer.status, error]).toEqual([name, 404, expected]);
        }
      }
    });
  });
}

function routesOfKeys({ routes }: Harness) {
  return routes.filter(({ path }) => path.startsWith('/v1/'));
}
