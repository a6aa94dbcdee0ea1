import type { World } from './matrix-rig.js';
import { freshMount, pkiRootOf, ROLE_FIELDS } from './pki-samples.js';
import type { RouteSample } from './route-sample.js';

const PATH = '/v1/pki/roots/:name/roles/:role/acme-keys';

async function newKeys(world: World): Promise<string> {
  const root = await pkiRootOf(world);
  const { status, text, json } = await world.call('POST', `${root}/roles`, {
    body: { role_name: freshMount(), ...ROLE_FIELDS },
  });
  if (status !== 201) throw new Error(`POST ${root}/roles: ${status} ${text}`);
  return `${root}/roles/${(json['data'] ?? json).id}/acme-keys`;
}

async function newKey(world: World): Promise<string> {
  const path = await newKeys(world);
  const { status, text, json } = await world.call('POST', path, { body: {} });
  if (status !== 201) throw new Error(`POST ${path}: ${status} ${text}`);
  return `${path}/${(json['data'] ?? json).kid}`;
}

/** Rows of which each mode may have some. */
export const ACME_KINDS = {
  [PATH]: {
    async make(world: World) {
      const path = await newKey(world);
      const at = path.lastIndexOf('/');
      return { list: path.slice(0, at), id: path.slice(at + 1) };
    },
  },
};

export const ACME_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`GET ${PATH}`]: { path: newKeys },
  [`POST ${PATH}`]: { path: newKeys, bodies: () => [{ label: 'web servers' }, { label: null }] },
  [`DELETE ${PATH}/:kid`]: { path: newKey },
};
