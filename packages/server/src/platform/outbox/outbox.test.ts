import { forEachDatabase } from '../../testing/databases.js';
import { outboxContract } from './outbox.contract.js';

forEachDatabase((_name, open) => outboxContract(open));
