import { forEachDatabase } from '../../testing/databases.js';
import { describeEnvironmentStore } from './store.contract.js';

forEachDatabase((_name, open) => describeEnvironmentStore(open));
