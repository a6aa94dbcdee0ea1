/** Deeper is no claim of anybody's (contract README §7). */
const DEPTH_MAX = 64;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A JSON object that every reader reads alike: of a member that stands twice some take the first and some the last
 * (RFC 8725 §2.4), and a number beyond all numbers is written back as null. Null for anything else.
 */
export function readJsonObject(bytes: Uint8Array): JsonObject | null {
  try {
    const text = utf8.decode(bytes);
    const written = membersWritten(text);
    if (written === null) return null;
    const value: unknown = JSON.parse(text);
    return isObject(value) && membersRead(value) === written ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A colon outside strings stands behind each member's name and nowhere else. Null where it is too deep. */
function membersWritten(text: string): number | null {
  let members = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === ':') members++;
    else if (character === '{' || character === '[') {
      if (++depth > DEPTH_MAX) return null;
    } else if (character === '}' || character === ']') depth--;
  }
  return members;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

/** NaN, which equals nothing, where a number is not finite. */
function membersRead(value: unknown): number {
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN;
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value);
  const own = Array.isArray(value) ? 0 : inner.length;
  return inner.reduce<number>((sum, each) => sum + membersRead(each), own);
}
