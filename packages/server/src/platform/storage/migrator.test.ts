import { forEachDatabase } from '../../testing/databases.js';
import { migratorContract } from './migrator.contract.js';

forEachDatabase((_name, open) => migratorContract(open));
