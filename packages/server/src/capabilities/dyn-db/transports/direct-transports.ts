import { createDirectTransport, type DirectTransportDeps } from './direct.js';
import type { Transports } from './transport.js';

/** The server dials each database itself (dyn-db.md §5.1). */
export function createDirectTransports(deps: Omit<DirectTransportDeps, 'connectTimeoutMs'>): Transports {
  return {
    problem: (address) => deps.policy.problem(address),
    create: (connectTimeoutMs) => createDirectTransport({ ...deps, connectTimeoutMs }),
  };
}
