import { forEachDatabase } from '../../testing/databases.js';
import { acmeStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => acmeStoreContract(open));
