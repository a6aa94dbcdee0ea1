import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

export const ENVIRONMENTS = '/v1/environments';

let made = 0;
const TERMS = { display_name: 'Staging', description: 'd', color: '#abcdef', is_default: false };
const environmentOf = () => ({ name: `stage-${++made}`, ...TERMS });

const newEnvironment = async (world: World) =>
  `${ENVIRONMENTS}/${(await world.create(ENVIRONMENTS, environmentOf())).id}`;

export const SECRET_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${ENVIRONMENTS}`]: { bodies: () => [environmentOf()] },
  [`PATCH ${ENVIRONMENTS}/:id`]: { path: newEnvironment, bodies: () => [environmentOf()] },
  [`DELETE ${ENVIRONMENTS}/:id`]: { path: newEnvironment },
};

export const SECRET_KINDS = {
  [ENVIRONMENTS]: {
    make: async ({ create }: World, name: string) => ({
      list: ENVIRONMENTS,
      id: (await create(ENVIRONMENTS, { name })).id,
    }),
  },
};
