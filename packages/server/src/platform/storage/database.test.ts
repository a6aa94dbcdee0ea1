import { forEachDatabase } from '../../testing/databases.js';
import { databaseContract } from './database.contract.js';

forEachDatabase((_name, open) => databaseContract(open));
