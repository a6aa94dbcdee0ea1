import type { Clock } from '../../../kernel/clock.js';
import type { Engines } from '../connections/databases.js';
import { createMongoEngine } from './mongo/engine.js';
import { mysqlEngine } from './mysql/engine.js';
import { createPostgresEngine } from './postgres/engine.js';

export function createEngines(clock: Clock): Engines {
  return {
    postgres: createPostgresEngine(clock),
    mysql: mysqlEngine,
    mongo: createMongoEngine(clock),
  };
}
