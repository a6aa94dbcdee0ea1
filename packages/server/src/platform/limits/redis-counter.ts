import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../kernel/clock.js';
import type { Secret } from '../../kernel/secret.js';
import type { Logger } from '../log/logger.js';
import type { Count } from './allowance.js';
import { METER_SCRIPT } from './meter-script.js';
import { kindOf, type LimitRule, SLIDING_PARTS } from './meters.js';
import type { SharedCounter } from './redis-allowance.js';

const COMMAND_TIMEOUT_MS = 250;
/** What is left of a command that nobody waits for any more. */
const COMMAND_FORGOTTEN_MS = 5_000;
const CONNECT_TIMEOUT_MS = 1_000;
/** After a call that failed: for so long nobody waits for Redis. */
const REST_MS = 1_000;
const RECONNECT_MAX_MS = 2_000;
const PREFIX = 'knox:rate:';

export interface RedisCounterDeps {
  readonly url: Secret<string>;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
}

/** The meters of `meters.ts` inside Redis or Valkey, where a script runs alone. Connects by itself, again and again. */
export async function openRedisCounter({ url, clock, logger }: RedisCounterDeps): Promise<SharedCounter> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url.reveal(), {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: COMMAND_FORGOTTEN_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (attempt) => Math.min(attempt * 100, RECONNECT_MAX_MS),
  });
  redis.defineCommand('knoxMeter', { numberOfKeys: 1, lua: METER_SCRIPT });
  const { knoxMeter } = redis as unknown as { knoxMeter(...words: (string | number)[]): Promise<string[]> };
  let isAway = false;
  let restUntilMs = 0;

  function failed(error: unknown): void {
    restUntilMs = clock.monotonicMs() + REST_MS;
    if (!isAway) logger.warn({ err: error }, 'Redis does not answer: rate limits are counted in slices');
    isAway = true;
  }

  redis.on('error', failed);
  redis.on('ready', () => {
    restUntilMs = 0;
    if (isAway) logger.info('Redis answers again');
    isAway = false;
  });

  /**
   * Timers run before sockets are read: of a process that was busy for so long the answer may lie there unread, and would be
   * thrown away for a count of its own.
   */
  function answerInTime(asked: Promise<string[]>): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const cancel = clock.setTimer(COMMAND_TIMEOUT_MS, () => {
        void nextTurn().then(() => reject(new Error(`no answer within ${COMMAND_TIMEOUT_MS} ms`)));
      });
      asked.finally(cancel).then(resolve, reject);
    });
  }

  async function run(verb: 'take' | 'give', name: string, rule: LimitRule, nowMs: number): Promise<Count> {
    try {
      const asked = knoxMeter.call(
        redis,
        PREFIX + name,
        verb,
        kindOf(rule),
        rule.requests,
        rule.windowSec * 1000,
        SLIDING_PARTS,
        nowMs,
      );
      const answer = await answerInTime(asked);
      const [given, remaining, resetAtMs, retryAfterMs] = answer.map(Number);
      return {
        isAllowed: given === 1,
        remaining: remaining!,
        resetAtMs: resetAtMs!,
        retryAfterMs: retryAfterMs!,
      };
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  await redis.connect().catch(failed);
  return {
    isUsable: () => redis.status === 'ready' && clock.monotonicMs() >= restUntilMs,
    take: (name, rule, nowMs) => run('take', name, rule, nowMs),
    async giveBack(name, rule, nowMs) {
      await run('give', name, rule, nowMs);
    },
    async close() {
      redis.disconnect();
    },
  };
}
