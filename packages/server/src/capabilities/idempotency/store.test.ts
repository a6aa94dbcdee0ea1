import { forEachDatabase } from '../../testing/databases.js';
import { idempotencyStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => idempotencyStoreContract(open));
