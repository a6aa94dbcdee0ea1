export { envelopeColumns } from './envelope-columns.js';
export { migrations } from './tables.js';
