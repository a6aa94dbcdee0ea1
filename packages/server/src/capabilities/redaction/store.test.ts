import { afterEach, describe } from 'vitest';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { migrations } from './index.js';
import { redactionStoreContract } from './store.contract.js';

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  afterEach(() => db.cleanup());
  describe('redaction store', () =>
    redactionStoreContract(async () => {
      db = await openDatabase(migrations);
      return db;
    }));
});
