import { AppError } from '../../kernel/errors.js';
import { createLine } from '../../kernel/line.js';

/** Of the four threads that the process has for files, passwords and keys. */
const AT_ONCE_MAX = 3;
const WAITING_MAX = 10_000;
const OWNER_WAITING_MAX = 1_000;
const RETRY_SECONDS = 1;
const line = createLine({
  atOnceMax: AT_ONCE_MAX,
  waitingMax: WAITING_MAX,
  ownerWaitingMax: OWNER_WAITING_MAX,
  refusal: () =>
    new AppError('dependency_unavailable', 'Too many RSA signatures and decryptions at once', {
      dependency: 'keys',
      retryAfterSeconds: RETRY_SECONDS,
    }),
});

/**
 * What is done in a thread with a private RSA key, milliseconds each: owners (tenants) take turns here, since the threads'
 * own queue, which passwords and files stand in too, is served as it comes. 503 beyond the end of the line.
 */
export const inRsaTurn = <T>(owner: string, work: () => Promise<T>): Promise<T> => line.inTurn(work, owner);
