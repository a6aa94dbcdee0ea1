export { envelopeColumns } from './envelope-columns.js';
export { idempotencyJobs } from './jobs.js';
export { CHANGE_WITHOUT_ANSWER, createIdempotency, type IdempotencyRecords } from './service.js';
export { migrations } from './tables.js';
