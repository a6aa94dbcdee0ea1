import { forEachDatabase } from '../../../testing/databases.js';
import { rewrapContract } from './rewrap.contract.js';

forEachDatabase((_name, open) => rewrapContract(open));
