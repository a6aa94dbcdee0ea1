import { forEachDatabase } from '../../../testing/databases.js';
import { auditChainContract } from './chain.contract.js';

forEachDatabase((_name, open) => auditChainContract(open));
