import { forEachDatabase } from '../../testing/databases.js';
import { roleStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => roleStoreContract(open));
