import { forEachDatabase } from '../../testing/databases.js';
import { apiKeyStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => apiKeyStoreContract(open));
