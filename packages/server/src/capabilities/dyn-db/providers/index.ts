import type { Clock } from '../../../kernel/clock.js';
import type { Engines } from '../connections/databases.js';
import { missingEngine } from './missing.js';
import { createPostgresEngine } from './postgres/engine.js';

export function createEngines(clock: Clock): Engines {
  return {
    postgres: createPostgresEngine(clock),
    mysql: missingEngine('mysql', 3_306),
    mongo: missingEngine('mongo', 27_017),
  };
}
