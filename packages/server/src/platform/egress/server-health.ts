import type { Clock } from '../../kernel/clock.js';
import type { EgressServer } from './egress.js';

/** Which egress servers have failed lately, as this process has seen it. */
export interface ServerHealth {
  /** As given, but those that wait for their next try come last; none is left out, so that one alone is tried. */
  inOrder(servers: readonly EgressServer[]): readonly EgressServer[];
  failed(server: EgressServer): void;
  worked(server: EgressServer): void;
}

const FIRST_WAIT_MS = 1_000;
const WAIT_MS_MAX = 60_000;
const MARKS_MAX = 10_000;

interface Mark {
  readonly failures: number;
  readonly untilMs: number;
}

export function createServerHealth(clock: Clock): ServerHealth {
  const marks = new Map<string, Mark>();
  const waitOf = (server: EgressServer) => {
    const untilMs = marks.get(serverKeyOf(server))?.untilMs ?? 0;
    return untilMs > clock.monotonicMs() ? untilMs : 0;
  };

  return {
    inOrder(servers) {
      if (marks.size === 0 || !servers.some((server) => waitOf(server) > 0)) return servers;
      // Sorting keeps the order of those that are equal.
      return [...servers].sort((a, b) => waitOf(a) - waitOf(b));
    },

    failed(server) {
      const key = serverKeyOf(server);
      const failures = (marks.get(key)?.failures ?? 0) + 1;
      const waitMs = Math.min(FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 16), WAIT_MS_MAX);
      marks.delete(key);
      marks.set(key, { failures, untilMs: clock.monotonicMs() + waitMs });
      if (marks.size > MARKS_MAX) marks.delete(marks.keys().next().value!);
    },

    worked(server) {
      if (marks.size > 0) marks.delete(serverKeyOf(server));
    },
  };
}

/** Another version is another server: what failed may have been put right. */
export function serverKeyOf({ id, version }: EgressServer): string {
  return `${id} ${version}`;
}
