import { describe } from 'vitest';
import { forEachDatabase } from '../../testing/databases.js';
import { describePlansStore } from './store.contract.js';

forEachDatabase((_name, open) => describe('the plans store', () => describePlansStore(open)));
