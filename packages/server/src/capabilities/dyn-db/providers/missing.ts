import { validationError } from '../../../kernel/errors.js';
import type { Engine, EngineName } from './engine.js';

/** Stands for an engine that is not there yet: nothing of it can be registered. */
export function missingEngine(name: EngineName, defaultPort: number): Engine {
  const refuse = () => {
    throw validationError('engine', `${name} is not there yet`);
  };
  return {
    name,
    defaultPort,
    usernameCharactersMax: 32,
    templateStatements: refuse,
    checkStatements: refuse,
    connect: () => Promise.reject(new Error(`${name} is not there yet`)),
  };
}
