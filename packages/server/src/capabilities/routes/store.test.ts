import { forEachDatabase } from '../../testing/databases.js';
import { describeRouteStores } from './store.contract.js';

forEachDatabase((_name, open) => describeRouteStores(open));
