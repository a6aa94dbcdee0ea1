import type { Clock } from '../../../../kernel/clock.js';
import { validationError } from '../../../../kernel/errors.js';
import type { Engine } from '../engine.js';
import { ADMIN_DATABASE, parseCreation, resolveCreation, templateCreation } from './creation.js';

/** MongoDB sets no limit; a line of its log stays readable. */
const USERNAME_CHARACTERS_MAX = 128;

export function createMongoEngine(clock: Clock): Engine {
  return {
    name: 'mongo',
    defaultPort: 27_017,
    usernameCharactersMax: USERNAME_CHARACTERS_MAX,

    templateStatements(group, database) {
      if (database === null)
        throw validationError(
          'template',
          'needs the database_name of the connection: the roles are of one database',
        );
      return { creation: templateCreation(group.template, database), revocation: '', group };
    },

    pinned: (statements, database) => ({
      ...statements,
      creation: JSON.stringify(resolveCreation(statements.creation, database ?? ADMIN_DATABASE)),
    }),

    checkStatements(creation, revocation) {
      parseCreation(creation);
      if (revocation.trim() !== '')
        throw validationError(
          'revocation_sql',
          'must be empty for mongo: the user is dropped and its sessions ended',
        );
    },

    // The driver is loaded where a MongoDB is logged in to, and not by every server at its start.
    async connect(target, transport, signal) {
      const { connectMongo } = await import('./log-in.js');
      return connectMongo(clock, target, transport, signal);
    },
  };
}
