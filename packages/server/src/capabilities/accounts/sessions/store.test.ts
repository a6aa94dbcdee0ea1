import { forEachDatabase } from '../../../testing/databases.js';
import { sessionStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => sessionStoreContract(open));
