import { forEachDatabase } from '../../testing/databases.js';
import { apiLogStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => apiLogStoreContract(open));
