import { isUtf8 } from 'node:buffer';
import { scanJson } from '../../kernel/json-scanner.js';
import type { JsonObject } from '../../kernel/strict-json.js';

interface Place {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

interface ReadObject {
  /** Of the members that are asked for, in their order, one as often as it stands there. */
  readonly places: readonly Place[];
  /** Behind the last member, or the opening bracket. */
  readonly last: number;
  readonly isEmpty: boolean;
}

const OPEN_OBJECT = 0x7b;

/**
 * A shallow merge in which the injected members win (dataplane.md §5.7). Everything else keeps its bytes: of an injected name
 * the value is replaced where it stands, as often as it stands there, and what the body lacks is added at its end.
 * Null where the body is no JSON object: it goes on as it came.
 */
export function injectBody(body: Buffer, injected: JsonObject): Buffer | null {
  const values = new Map(Object.entries(injected).map(([name, value]) => [name, JSON.stringify(value)]));
  const found = readObject(body, values);
  if (found === null) return null;
  const parts: Buffer[] = [];
  const added = new Map(values);
  let from = 0;
  for (const { name, start, end } of found.places) {
    parts.push(body.subarray(from, start), Buffer.from(values.get(name)!));
    added.delete(name);
    from = end;
  }
  parts.push(body.subarray(from, found.last));
  const members = [...added].map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  if (members.length > 0) parts.push(Buffer.from(`${found.isEmpty ? '' : ','}${members.join(',')}`));
  return Buffer.concat([...parts, body.subarray(found.last)]);
}

function readObject(body: Buffer, asked: ReadonlyMap<string, unknown>): ReadObject | null {
  if (!isUtf8(body)) return null;
  const places: Place[] = [];
  let depth = 0;
  let last = -1;
  let isEmpty = true;
  let isObject = false;
  let name = '';
  let start = 0;
  const add = (end: number): void => {
    if (asked.has(name)) places.push({ name, start, end });
    last = end;
    isEmpty = false;
  };
  const problem = scanJson(body, {
    key(from, to) {
      if (depth === 1) name = JSON.parse(body.toString('utf8', from, to)) as string;
    },
    open(at) {
      if (depth === 0) {
        isObject = body[at] === OPEN_OBJECT;
        last = at + 1;
      }
      if (depth === 1) start = at;
      depth += 1;
    },
    close(end) {
      depth -= 1;
      if (depth === 1) add(end);
    },
    scalar(from, to) {
      if (depth !== 1) return;
      start = from;
      add(to);
    },
  });
  return problem === null && isObject ? { places, last, isEmpty } : null;
}
