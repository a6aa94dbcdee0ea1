import { assert } from '../../kernel/assert.js';
import type { RouteDefinition } from './route.js';

/** `/v1` serves API keys, `/admin` signed-in users (auth.md §7, kms-admin.md §4). */
export type Mount = 'v1' | 'admin';

/** A definition at one of its places. */
export interface MountedRoute {
  readonly definition: RouteDefinition;
  readonly mount: Mount;
  readonly path: string;
  readonly body: 'envelope' | 'bare';
}

/** Every place of every definition: what is registered, documented and tested. */
export function mountedRoutes(definitions: readonly RouteDefinition[]): MountedRoute[] {
  return definitions.flatMap(placesOf);
}

function placesOf(definition: RouteDefinition): MountedRoute[] {
  const { path, admin = 'envelope', access = 'tenant', answer = 'single', stepUp } = definition;
  assert(!definition.text || (definition.method === 'GET' && answer === 'single'), `${path}: a text is read`);
  assert(admin !== 'bare' || answer === 'single', `${path}: a page or a feed has no bare form`);
  const twin = path.replace(/^\/v1\//, '/admin/');
  const isShared = twin !== path;
  assert(isShared || path.startsWith('/admin/'), `${path} is neither under /v1 nor under /admin`);
  assert(access !== 'session' || !isShared, `${path}: only /admin has sessions`);
  assert(
    (access === 'capability') === (definition.capability !== undefined) &&
      (access !== 'capability' || (isShared && admin === 'none')),
    `${path}: a token for one act is used under /v1 alone, and says for which`,
  );
  assert(!stepUp || (!isShared && access !== 'public'), `${path}: a step-up is of users, under /admin alone`);
  const places: MountedRoute[] = [];
  if (isShared) places.push({ definition, mount: 'v1', path, body: 'envelope' });
  if (admin !== 'none') places.push({ definition, mount: 'admin', path: twin, body: admin });
  return places;
}
