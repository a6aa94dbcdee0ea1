import { afterEach, describe } from 'vitest';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { migrations } from './index.js';
import { vaultStoreContract } from './store.contract.js';

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  afterEach(() => db.cleanup());
  describe('vault store', () =>
    vaultStoreContract(async () => {
      db = await openDatabase(migrations);
      return db;
    }));
});
