export { migrations } from './tables.js';
