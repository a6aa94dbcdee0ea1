import type { MountedRoute } from '../mounts.js';
import type { RouteDefinition } from '../route.js';

type Named = Pick<RouteDefinition, 'method' | 'path' | 'answer' | 'status'>;

/** `GET /v1/vaults/:name/tokens` is `listVaultTokens`. The name is the method's in generated clients, so it stays. */
export function operationIdOf({ definition, mount }: Pick<MountedRoute, 'definition' | 'mount'>): string {
  const id = definition.operationId ?? camelCase(wordsOf(definition));
  return mount === 'v1' ? id : `${mount}${capitalised(id)}`;
}

function wordsOf({ method, path, answer, status }: Named): string[] {
  const parts = path.split('/').slice(2);
  const segments = parts.filter((part) => !part.startsWith(':'));
  const endsInRow = parts.at(-1)?.startsWith(':') ?? false;
  const row = segments.map(singular);
  switch (method) {
    case 'GET':
      if (endsInRow) return ['get', ...row];
      if (answer === undefined || answer === 'single')
        return ['get', ...row.slice(0, -1), ...segments.slice(-1)];
      return ['list', ...row.slice(0, -1), ...segments.slice(-1)];
    case 'POST':
      // `/v1/redaction-rules/test`: the last word is what is done.
      return status === 201 || segments.length < 2
        ? ['create', ...row]
        : [...segments.slice(-1), ...row.slice(0, -1)];
    case 'PUT':
      return ['replace', ...row];
    case 'PATCH':
      return ['update', ...row];
    case 'DELETE':
      return ['delete', ...row];
  }
}

function singular(word: string): string {
  if (word.endsWith('ies')) return `${word.slice(0, -3)}y`;
  return word.endsWith('s') && !/(ss|us|is)$/.test(word) ? word.slice(0, -1) : word;
}

function camelCase(names: readonly string[]): string {
  const [first = '', ...rest] = names.flatMap((name) => name.split(/[^A-Za-z0-9]+/));
  return first + rest.map(capitalised).join('');
}

export function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
