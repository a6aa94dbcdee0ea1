import { forEachDatabase } from '../../testing/databases.js';
import { jobsContract } from './jobs.contract.js';

forEachDatabase((_name, open) => jobsContract(open));
