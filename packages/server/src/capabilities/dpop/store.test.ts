import { forEachDatabase } from '../../testing/databases.js';
import { proofStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => proofStoreContract(open));
