import { forEachDatabase } from '../../testing/databases.js';
import { generationsContract } from './generations.contract.js';

forEachDatabase((_name, open) => generationsContract(open));
