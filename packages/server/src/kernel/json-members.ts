import { validationError } from './errors.js';
import { scanJson } from './json-scanner.js';

export interface JsonMember {
  readonly name: string;
  /** Of the value, spacing left out. */
  readonly start: number;
  readonly end: number;
}

/**
 * The members of the outermost object in their order, one name as often as it stands there; null where there is none, 400
 * where there are more.
 */
export function membersOf(bytes: Buffer, membersMax: number): JsonMember[] | null {
  const members: JsonMember[] = [];
  let depth = 0;
  let isObject = false;
  let name = '';
  let start = 0;
  const add = (end: number) => {
    if (depth !== 1 || !isObject) return;
    // Thrown from within: of millions none is kept.
    if (members.length === membersMax) throw validationError('body', `has more than ${membersMax} members`);
    members.push({ name, start, end });
  };
  const problem = scanJson(bytes, {
    key(from, to) {
      if (depth === 1) name = JSON.parse(bytes.toString('utf8', from, to)) as string;
    },
    open(at) {
      if (depth === 0) isObject = bytes[at] === 0x7b;
      if (depth === 1) start = at;
      depth += 1;
    },
    close(end) {
      depth -= 1;
      add(end);
    },
    scalar(from, to) {
      if (depth === 1) start = from;
      add(to);
    },
  });
  return problem === null && isObject ? members : null;
}
