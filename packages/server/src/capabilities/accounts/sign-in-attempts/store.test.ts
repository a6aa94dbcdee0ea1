import { forEachDatabase } from '../../../testing/databases.js';
import { signInAttemptStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => signInAttemptStoreContract(open));
