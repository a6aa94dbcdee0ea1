import { describe } from 'vitest';
import { forEachDatabase } from '../../../testing/databases.js';
import { auditChainContract } from './chain.contract.js';
import { outsideContract } from './outside.contract.js';

forEachDatabase((_name, open) => {
  auditChainContract(open);
  describe('a row outside the chain', () => outsideContract(open));
});
