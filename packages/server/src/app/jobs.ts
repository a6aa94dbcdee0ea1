import { idempotencyJobs } from '../capabilities/idempotency/index.js';
import type { JobDefinition } from '../platform/jobs/definition.js';
import type { Services } from './services.js';

type WithJobs = Pick<Services, 'jobs' | 'outbox' | 'idempotency'>;

/** All background work of the server: the one list. What it holds is checked in as docs/operations/jobs.md. */
export function jobDefinitions({ jobs, outbox, idempotency }: WithJobs): JobDefinition[] {
  return [...jobs.definitions(), ...outbox.definitions(), ...idempotencyJobs(idempotency)];
}
