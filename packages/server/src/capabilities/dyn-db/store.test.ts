import { afterEach, describe } from 'vitest';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { leaseStoreContract } from './leases/store.contract.js';
import { recordStoreContract } from './store.contract.js';
import { migrations } from './tables.js';

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  afterEach(() => db.cleanup());
  const open = async () => {
    db = await openDatabase(migrations);
    return db;
  };
  describe('store of connections and roles', () => recordStoreContract(open));
  describe('store of leases', () => leaseStoreContract(open));
});
