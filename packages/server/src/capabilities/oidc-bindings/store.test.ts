import { afterEach, describe } from 'vitest';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { migrations } from './index.js';
import { oidcBindingStoreContract } from './store.contract.js';

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  afterEach(() => db.cleanup());
  describe('OIDC binding store', () =>
    oidcBindingStoreContract(async () => {
      db = await openDatabase(migrations);
      return db;
    }));
});
