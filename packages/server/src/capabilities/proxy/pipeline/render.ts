import type { JudgedTarget } from '../../../platform/egress/egress.js';
import type { StreamedBody } from './body.js';
import type { CallValues } from './detokenize.js';
import type { Scanned } from './scan.js';

export interface Outbound {
  readonly path: string;
  readonly body: Buffer | StreamedBody | null;
}

export function render(target: JudgedTarget, scanned: Scanned, values: CallValues): Outbound {
  const { template } = scanned;
  if (template === null) return { path: pathOf(target, scanned.query), body: scanned.body };
  const parts = template.render(
    values.tokens.map(({ value }) => value),
    values.portables,
    values.secrets.map(({ value }) => value),
  );
  return { path: pathOf(target, parts.query), body: parts.body ?? scanned.body };
}

function pathOf(target: JudgedTarget, query: string): string {
  return query === '' ? target.url.pathname : `${target.url.pathname}?${query}`;
}
