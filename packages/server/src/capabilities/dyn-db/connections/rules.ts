import { validationError, validationErrors } from '../../../kernel/errors.js';
import type { Engine, EngineName } from '../providers/engine.js';
import { sslCaProblem } from '../providers/tls.js';
import { parseUsernameTemplate } from '../statements/names.js';
import type { ConnectOptions } from './options.js';
import { isWeaker } from './options.js';
import type { Destination } from './store.js';

/** A path segment of its own (dyn-db.md §2). */
const RESERVED_NAME = 'leases';

export function requireFreeName(name: string): void {
  if (name === RESERVED_NAME)
    throw validationError('name', `must not be "${RESERVED_NAME}", which is a path of its own`);
}

export function requireTtls(defaultTtlSeconds: number | null, maxTtlSeconds: number | null): void {
  if (defaultTtlSeconds !== null && maxTtlSeconds !== null && maxTtlSeconds < defaultTtlSeconds)
    throw validationError('max_ttl_seconds', 'must not be less than default_ttl_seconds');
}

/** Null and undefined are none. */
export function requireUsernameTemplateFits(
  { usernameCharactersMax }: Pick<Engine, 'usernameCharactersMax'>,
  template: string | null | undefined,
): void {
  if (template != null) parseUsernameTemplate('username_template', template, usernameCharactersMax);
}

const OF_MONGO = ['authSource', 'replicaSet'] as const satisfies readonly (keyof ConnectOptions)[];

export function requireOptionsFit(engine: EngineName, options: ConnectOptions): void {
  for (const name of OF_MONGO) {
    if (options[name] !== undefined && engine !== 'mongo')
      throw validationError(`connect_options.${name}`, 'is for mongo only');
  }
  const caProblem = options.ssl_ca === undefined ? null : sslCaProblem(options.ssl_ca);
  if (caProblem !== null) throw validationError('connect_options.ssl_ca', caProblem);
  if (options.tls !== undefined && options.sslmode !== undefined)
    throw validationError('connect_options.tls', 'must not stand beside sslmode, which says the same');
}

/**
 * Who changes where the admin password goes, or weakens what protects it on the way, sends it again in the same call
 * (contract README §10). Each field that moves it is named, and the password.
 */
export function requireCredentialAgain(
  before: Destination,
  after: Destination,
  defaultPort: number,
  hasPassword: boolean,
): void {
  if (hasPassword) return;
  const [was, is] = [before.connectOptions, after.connectOptions];
  const moved = [
    ...(after.host === before.host ? [] : ['host']),
    ...((after.port ?? defaultPort) === (before.port ?? defaultPort) ? [] : ['port']),
    ...(isWeaker(was, is) ? ['connect_options'] : []),
  ];
  if (moved.length === 0) return;
  const rules = moved.map((field): [string, string[]] => [
    field,
    ['moves the stored credential or weakens its protection: send admin_password with it'],
  ]);
  throw validationErrors(new Map([...rules, ['admin_password', [`is required with ${moved.join(', ')}`]]]));
}
