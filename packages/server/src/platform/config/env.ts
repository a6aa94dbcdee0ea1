import { Secret } from '../../kernel/secret.js';
import { RuleBroken } from './parsers.js';
import { readSecretFile } from './secrets.js';
import {
  KMS_SECRET_PREFIX,
  NOT_CARRIED_OUT,
  VARIABLES,
  type Variable,
  type VariableName,
  type VariableValue,
} from './variables.js';

export interface ConfigProblem {
  readonly variable: string;
  readonly rule: string;
}

/** One flat typed object; a member is absent where the variable is absent, empty or refused. */
export type Environment = { readonly [Name in VariableName]?: VariableValue<Name> };

export interface EnvironmentReading {
  readonly values: Environment;
  /** By the name of the variable, KNOX_TENANT_KMS_*. */
  readonly kmsSecrets: ReadonlyMap<string, Secret<string>>;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
}

export type EnvironmentSource = Readonly<Record<string, string | undefined>>;

/** The one place where the process environment is read. */
export function processEnvironment(): EnvironmentSource {
  return process.env;
}

export function readEnvironment(source: EnvironmentSource): EnvironmentReading {
  const problems: ConfigProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, variable] of Object.entries(VARIABLES) as [VariableName, Variable<unknown>][]) {
    const outcome = readVariable(source, name, variable);
    if (outcome instanceof RuleBroken) problems.push({ variable: name, rule: outcome.message });
    else if (outcome !== undefined) values[name] = outcome;
  }
  problems.push(...refusedVariables(source));
  const kmsSecrets = readKmsSecrets(source, problems);
  return { values: values as Environment, kmsSecrets, problems, warnings: unknownVariables(source) };
}

function readKmsSecrets(
  source: EnvironmentSource,
  problems: ConfigProblem[],
): ReadonlyMap<string, Secret<string>> {
  const secrets = new Map<string, Secret<string>>();
  const variable: Variable<string> = { parse: (text) => text, secret: true, fallback: '', meaning: '' };
  const names = Object.keys(source).filter((name) => name.startsWith(KMS_SECRET_PREFIX));
  for (const name of new Set(names.map((one) => one.replace(/_FILE$/, '')))) {
    const outcome = readVariable(source, name, variable);
    if (outcome instanceof RuleBroken) problems.push({ variable: name, rule: outcome.message });
    else if (typeof outcome === 'string') secrets.set(name, new Secret(outcome));
  }
  return secrets;
}

function readVariable(source: EnvironmentSource, name: string, variable: Variable<unknown>): unknown {
  try {
    const text = present(source[name]);
    const file = variable.secret ? present(source[`${name}_FILE`]) : undefined;
    if (text !== undefined && file !== undefined) {
      return new RuleBroken(`is set twice, here and in ${name}_FILE; keep one`);
    }
    const value = file === undefined ? text : readSecretFile(file);
    return value === undefined ? undefined : variable.parse(value);
  } catch (error) {
    if (error instanceof RuleBroken) return error;
    throw error;
  }
}

/** An empty value is as absent (contract README §8). */
function present(value: string | undefined): string | undefined {
  const text = value?.trim();
  return text === '' ? undefined : text;
}

function refusedVariables(source: EnvironmentSource): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const name of Object.keys(source)) {
    const value = present(source[name]);
    const plainName = name.replace(/_FILE$/, '');
    const harmless = NOT_CARRIED_OUT[name] ?? (name in VARIABLES ? undefined : NOT_CARRIED_OUT[plainName]);
    if (value === undefined || harmless === undefined || harmless.includes(value)) continue;
    problems.push({ variable: name, rule: 'is not carried out by this version; unset it' });
  }
  // Node itself obeys it for every TLS connection, the egress guard's too (contract README §8).
  if (source['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    problems.push({
      variable: 'NODE_TLS_REJECT_UNAUTHORIZED',
      rule: 'must not be 0: it turns TLS verification off',
    });
  }
  return problems;
}

function unknownVariables(source: EnvironmentSource): string[] {
  const isKnown = (name: string) =>
    name in VARIABLES || name in NOT_CARRIED_OUT || name.replace(/_FILE$/, '') in NOT_CARRIED_OUT;
  return Object.keys(source)
    .filter((name) => name.startsWith('KNOX_') && !name.startsWith(KMS_SECRET_PREFIX) && !isKnown(name))
    .sort()
    .map((name) => `${name} is not a variable of this server and was ignored`);
}
