import { forEachDatabase } from '../../../testing/databases.js';
import { tokenStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => tokenStoreContract(open));
