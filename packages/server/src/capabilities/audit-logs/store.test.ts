import { forEachDatabase } from '../../testing/databases.js';
import { auditLogsContract } from './store.contract.js';

forEachDatabase((_name, open) => auditLogsContract(open));
