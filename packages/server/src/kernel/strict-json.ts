import { jsonShapeOf } from './json-shape.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A JSON object that every reader reads alike: of a member that stands twice some take the first and some the last
 * (RFC 8725 §2.4), and a number beyond all numbers is written back as null. Null for anything else, and for what is
 * beyond the bounds of a body (contract README §7).
 */
export function readJsonObject(bytes: Uint8Array): JsonObject | null {
  try {
    const text = utf8.decode(bytes);
    const shape = jsonShapeOf(text);
    if (typeof shape === 'string') return null;
    const value: unknown = JSON.parse(text);
    return isObject(value) && membersRead(value) === shape.names ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** NaN, which equals nothing, where a number is not finite. */
function membersRead(value: unknown): number {
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN;
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value);
  const own = Array.isArray(value) ? 0 : inner.length;
  return inner.reduce<number>((sum, each) => sum + membersRead(each), own);
}
