import { forEachDatabase } from '../../testing/databases.js';
import { describeWrapStore } from './store.contract.js';

forEachDatabase((_name, open) => describeWrapStore(open));
