/** How the client libraries of a provider send its key. */
export interface KeyHeader {
  /** In lower case. */
  readonly name: string;
  /** Before the value. */
  readonly prefix: string;
}

const BEARER: KeyHeader = { name: 'authorization', prefix: 'Bearer ' };

/** Those that take no `Authorization`, or not for keys; every other one is called with a Bearer. */
const OTHERS: ReadonlyMap<string, KeyHeader> = new Map([
  ['anthropic', { name: 'x-api-key', prefix: '' }],
  ['azure-openai', { name: 'api-key', prefix: '' }],
  ['gemini', { name: 'x-goog-api-key', prefix: '' }],
  ['google', { name: 'x-goog-api-key', prefix: '' }],
]);

/** Of a secret that no provider is known of too. */
export function keyHeaderOf(provider: string | undefined): KeyHeader {
  return OTHERS.get(provider ?? '') ?? BEARER;
}
