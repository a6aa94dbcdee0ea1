export { envelopeColumns } from './envelope-columns.js';
export { CHANGE_WITHOUT_ANSWER, createIdempotency, type IdempotencyRecords } from './service.js';
export { migrations } from './tables.js';
