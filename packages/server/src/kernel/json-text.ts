/**
 * JSON as it came, valid and within the bounds of bodies, never parsed into values: its numbers keep their digits, its
 * members their order, and those of one name stay several.
 */
export class JsonText {
  /** UTF-8. */
  constructor(readonly bytes: Buffer) {}

  /** Where the rest of an answer is a value: `writeJson` alone puts the text in. */
  toJSON(): never {
    throw new Error('a JSON text is written by writeJson');
  }
}

/** `JSON.stringify` of plain values, with JSON texts put in as they are. */
export function writeJson(value: unknown): string {
  if (value instanceof JsonText) return value.bytes.toString('utf8');
  if (Array.isArray(value)) return `[${value.map((item) => writeJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${writeJson(member)}`).join(',')}}`;
}
