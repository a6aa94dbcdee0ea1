import type { Engines } from '../connections/databases.js';
import { missingEngine } from './missing.js';

export function createEngines(): Engines {
  return {
    postgres: missingEngine('postgres', 5_432),
    mysql: missingEngine('mysql', 3_306),
    mongo: missingEngine('mongo', 27_017),
  };
}
