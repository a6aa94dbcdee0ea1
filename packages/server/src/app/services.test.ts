import { expect, it } from 'vitest';
import { KEY_PERMISSIONS } from '../capabilities/permissions/index.js';
import { managementRoutes, type Services } from './services.js';

it('every endpoint of /v1 asks for a permission that a key can hold, or for none', () => {
  // The handlers close over services that nobody calls here.
  const routes = managementRoutes({} as Services);
  expect(routes.length).toBeGreaterThan(20);
  const unknown = routes.filter(({ permission }) => permission !== null && !KEY_PERMISSIONS.has(permission));
  expect(unknown.map(({ method, path, permission }) => `${method} ${path} ${permission}`)).toEqual([]);
});
