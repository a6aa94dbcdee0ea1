import { expect, it } from 'vitest';
import { KEY_PERMISSIONS, USER_PERMISSIONS } from '../capabilities/permissions/index.js';
import { managementRoutes } from './management-routes.js';
import type { Services } from './services.js';

it('every endpoint asks for a permission that its callers can hold, or for none', () => {
  // The handlers close over services that nobody calls here.
  const routes = managementRoutes({ signups: { isOn: true }, auth: {} } as Services);
  expect(routes.length).toBeGreaterThan(20);
  const unknown = routes.filter(({ path, permission }) => {
    const holdable = path.startsWith('/admin/') ? USER_PERMISSIONS : KEY_PERMISSIONS;
    return permission !== null && !holdable.has(permission);
  });
  expect(unknown.map(({ method, path, permission }) => `${method} ${path} ${permission}`)).toEqual([]);
});
