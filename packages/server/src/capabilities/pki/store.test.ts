import { afterEach, describe } from 'vitest';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { roleStoreContract } from './store.contract.js';
import { migrations } from './tables.js';

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  afterEach(() => db.cleanup());
  describe('store of roles', () =>
    roleStoreContract(async () => {
      db = await openDatabase(migrations);
      return db;
    }));
});
