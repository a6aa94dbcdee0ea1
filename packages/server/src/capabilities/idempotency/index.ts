export { envelopeColumns } from './envelope-columns.js';
export { createIdempotency, type IdempotencyDeps } from './service.js';
export { migrations } from './tables.js';
