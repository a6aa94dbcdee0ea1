import { randomInt } from 'node:crypto';
import { type Agent, request } from 'node:http';
import { areaUnderCurve, medianOf, standardError } from './ranks.js';

export interface Timed {
  readonly area: number;
  readonly medianMs: readonly [number, number];
}

export interface Timing {
  readonly answer: Timed;
  readonly next: Timed;
  readonly bound: number;
  readonly samples: number;
}

declare module 'vitest' {
  interface TaskMeta {
    /** What scripts/soak-reporter.mjs tells of a comparison of times. */
    timing?: Timing;
  }
}

export interface TimedCall {
  readonly agent: Agent;
  readonly url: string;
  readonly method?: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: string;
  readonly status: number;
}

/** From the sending to the last byte of the answer, ms; rejects where its status is another. */
export function timeOf({ agent, url, method = 'GET', headers, body, status }: TimedCall): Promise<number> {
  return new Promise((resolve, reject) => {
    const begunAt = performance.now();
    const sent = request(url, { agent, method, headers }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        answer += part;
      });
      response.on('end', () => {
        const tookMs = performance.now() - begunAt;
        if (response.statusCode === status) resolve(tookMs);
        else reject(new Error(`${url}: ${response.statusCode} ${answer}`));
      });
    });
    sent.on('error', reject).end(body);
  });
}

/** In standard errors. Of the areas of a run one is outside by chance in hundreds of runs. */
const BOUND = 4;

/** Makes the call of that number, and says how long it took, ms. */
type Side = (n: number) => Promise<number>;

/**
 * Both sides in turns, the order drawn each time, so that what disturbs one disturbs the other. Each call is followed by one
 * that is the same for both: what the first left behind for the server to do would show there. The times of both sides are
 * compared by their ranks, which no outlier moves.
 */
export async function compareTimes(
  sidesOf: { readonly first: Side; readonly second: Side; readonly next: () => Promise<number> },
  { samples, warmUp }: { readonly samples: number; readonly warmUp: number },
): Promise<Timing> {
  const { first, second, next: same } = sidesOf;
  const sides = [first, second].map((callOf) => ({ callOf, answer: [] as number[], next: [] as number[] }));
  for (let n = 0; n < warmUp + samples; n++) {
    const inTurn = randomInt(2) === 0 ? sides : [...sides].reverse();
    for (const { callOf, answer, next } of inTurn) {
      const [tookMs, nextMs] = [await callOf(n), await same()];
      if (n < warmUp) continue;
      answer.push(tookMs);
      next.push(nextMs);
    }
  }
  const timed = (of: 'answer' | 'next'): Timed => {
    const [one, other] = sides.map((side) => side[of]) as [number[], number[]];
    return { area: areaUnderCurve(one, other), medianMs: [medianOf(one), medianOf(other)] };
  };
  const bound = BOUND * standardError(samples, samples);
  return { answer: timed('answer'), next: timed('next'), bound, samples };
}
