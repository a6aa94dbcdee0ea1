import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

const DATA = { name: 'canary', year: 1815, notes: [true, null] };

/** Under the default key, so that its making is no part of the call that is watched. */
async function sealed(world: World) {
  const { status, text, json } = await world.call('POST', '/v1/encrypt', {
    body: { data: DATA, role: 'pii' },
  });
  if (status !== 200) throw new Error(`POST /v1/encrypt: ${status} ${text}`);
  return json['data'];
}

export const PORTABLE_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /v1/encrypt': {
    bodies: async (world) => [{ data: DATA, key: (await sealed(world)).key, role: 'pii' }],
  },
  'POST /v1/decrypt': {
    bodies: async (world) => [{ data: (await sealed(world)).ciphertext, role: 'pii' }],
  },
  'POST /v1/inspect': { bodies: () => [{ value: 'kc:1:' }] },
};
