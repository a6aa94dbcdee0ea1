import { vaultsMigration } from './migrations/0007-vaults.js';

export { vaultRoutes } from './routes.js';
export { createVaults, type Vaults, type VaultsDeps } from './service.js';
export { vaultTables } from './tables.js';
export type { TokenReference } from './tokens/service.js';

export const migrations = [vaultsMigration];
