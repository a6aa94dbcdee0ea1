import type { RouteDefinition } from '../platform/http/route.js';
import { membersWithoutSample } from './malformed-bodies.js';
import { nameOf, type World } from './matrix-rig.js';
import type { Kind, RouteSample } from './route-sample.js';

/** The routes that need a sample, and that it lacks something of; then the samples that belong to no route. */
export async function samplesAmiss(
  definitions: readonly RouteDefinition[],
  samples: Readonly<Record<string, RouteSample>>,
  world: World,
): Promise<string[]> {
  const amiss: string[] = [];
  for (const definition of definitions) {
    const name = nameOf(definition);
    const { path, bodies, operatorBodies = [] } = samples[name] ?? {};
    if (definition.path.includes('/:') && !path) amiss.push(`${name}: no path`);
    if (!definition.body) continue;
    const all = bodies && [
      ...(await bodies(samples[name]?.ofNewUser ? await world.withNewUser() : world)),
      ...operatorBodies,
    ];
    const members = all && membersWithoutSample(definition.body, all);
    if (!members) amiss.push(`${name}: no bodies`);
    else amiss.push(...members.map((member) => `${name}: no body has ${member}`));
  }
  const known = new Set(definitions.map(nameOf));
  return [...amiss, ...strangers(samples, known)];
}

/** Every path that lists rows or to which rows are added, as it is under `/v1` where it has a twin there. */
export function collectionsOf(definitions: readonly RouteDefinition[]): Set<string> {
  const ofTenants = definitions.filter(({ access = 'tenant' }) => access === 'tenant');
  const known = new Set(ofTenants.map(nameOf));
  const isCollection = ({ method, path, status, answer = 'single' }: RouteDefinition) =>
    method === 'POST' ? status === 201 || known.has(`GET ${path}`) : answer !== 'single';
  const paths = ofTenants.filter(isCollection).map(({ path }) => path);
  const underV1 = (path: string) => path.replace(/^\/admin\//, '/v1/');
  return new Set(paths.map((path) => (paths.includes(underV1(path)) ? underV1(path) : path)));
}

/** The collections that are neither tried nor exempt; then what is tried or exempt and is no collection, or is both. */
export function kindsAmiss(
  definitions: readonly RouteDefinition[],
  kinds: Readonly<Record<string, Kind>>,
  exempt: Readonly<Record<string, string>>,
): string[] {
  const collections = collectionsOf(definitions);
  const missing = [...collections].filter((path) => !(path in kinds) && !(path in exempt));
  const both = Object.keys(kinds).filter((path) => path in exempt);
  return [
    ...missing.map((path) => `${path}: not tried`),
    ...[...strangers(kinds, collections), ...strangers(exempt, collections)],
    ...both.map((path) => `${path}: tried and exempt`),
  ];
}

function strangers(named: object, known: ReadonlySet<string>): string[] {
  return Object.keys(named)
    .filter((name) => !known.has(name))
    .map((name) => `${name}: there is none`);
}
