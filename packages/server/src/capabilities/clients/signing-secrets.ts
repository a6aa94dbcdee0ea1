import type { Database } from '../../platform/storage/database.js';
import type { SecretUser } from '../secrets/index.js';
import { createClientStore } from './store.js';

/** Secrets that clients sign their calls with (clients-pki.md §1.5). */
export function createSigningSecretUser(db: Database): SecretUser {
  const store = createClientStore(db);
  return {
    async usedBy(tx, scope, secretId) {
      const count = await store.countSigningBy(tx, scope, secretId);
      if (count === 0) return null;
      return count === 1 ? 'a client, whose calls it signs' : `${count} clients, whose calls it signs`;
    },
  };
}
