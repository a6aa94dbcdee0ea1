import { forEachDatabase } from '../../testing/databases.js';
import { describeSecretStore } from './store.contract.js';

forEachDatabase((_name, open) => describeSecretStore(open));
