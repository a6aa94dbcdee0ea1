import { scanJson } from '../../../kernel/json-scanner.js';

/** The elements of a JSON list, each as it is written. */
export function elementsOf(bytes: Buffer): string[] {
  const elements: string[] = [];
  let depth = 0;
  let start = 0;
  scanJson(bytes, {
    open(at) {
      if (depth === 1) start = at;
      depth += 1;
    },
    close(end) {
      depth -= 1;
      if (depth === 1) elements.push(bytes.toString('utf8', start, end));
    },
    scalar(from, to) {
      if (depth === 1) elements.push(bytes.toString('utf8', from, to));
    },
  });
  return elements;
}
