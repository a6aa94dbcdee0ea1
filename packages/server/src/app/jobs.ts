import type { JobDefinition } from '../platform/jobs/definition.js';
import type { Services } from './services.js';

/** All background work of the server: the one list. What it holds is checked in as docs/operations/jobs.md. */
export function jobDefinitions({ jobs, outbox }: Pick<Services, 'jobs' | 'outbox'>): JobDefinition[] {
  return [...jobs.definitions(), ...outbox.definitions()];
}
