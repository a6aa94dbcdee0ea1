import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../../kernel/errors.js';
import type { IdSource } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Logger } from '../log/logger.js';
import { TOO_SLOW } from './connections.js';
import { errorAnswer } from './error-handler.js';

export interface MalformedDeps {
  readonly logger: Pick<Logger, 'info'>;
  readonly ids: IdSource;
}

/** What Node's parser refused: no request object exists, so the answer is written on the socket. */
export function refuseMalformed(deps: MalformedDeps, error: NodeJS.ErrnoException, socket: Socket): void {
  // Who has sent nothing waits for no answer.
  const isSilent = error.code === TOO_SLOW && socket.bytesRead === 0;
  if (error.code === 'ECONNRESET' || !socket.writable || isSilent) {
    socket.destroy();
    return;
  }
  if (isBehindWholeRequest(socket)) {
    endAfterAnswers(socket);
    return;
  }
  if (!mayAnswer(socket)) {
    socket.destroySoon();
    return;
  }
  const requestId = deps.ids.uuid();
  const refusal = refusalOf(error.code);
  const answer = errorAnswer(refusal, requestId);
  const headers = {
    ...answer.headers,
    'content-length': Buffer.byteLength(answer.body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const reason = answer.status === 431 ? 'Request Header Fields Too Large' : 'Bad Request';
  deps.logger.info({ request_id: requestId, status: answer.status, code: error.code }, 'malformed request');
  socket.end(`HTTP/1.1 ${answer.status} ${reason}\r\n${lines.join('\r\n')}\r\n\r\n${answer.body}`, () =>
    socket.destroy(),
  );
}

function refusalOf(code: string | undefined): AppError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new AppError(
        'headers_too_large',
        `The request headers are above ${LIMITS.requestHeadersBytesMax} bytes`,
      );
    case TOO_SLOW:
      return new AppError('validation_error', 'The request did not come in time');
    default:
      return new AppError('validation_error', 'The request is not valid HTTP/1.1');
  }
}

interface AnsweringSocket extends Socket {
  /** Node's: the answer whose turn it is. */
  readonly _httpMessage?: ServerResponse | null;
}

/** What is malformed came after a request that is being carried out, and is no part of it. */
function isBehindWholeRequest({ _httpMessage: inFlight }: AnsweringSocket): boolean {
  return !!inFlight && inFlight.req.complete && inFlight.req.headers['transfer-encoding'] === undefined;
}

/** Each further piece of what is malformed comes here again. */
const ending = new WeakSet<Socket>();

function endAfterAnswers(socket: AnsweringSocket): void {
  if (ending.has(socket)) return;
  ending.add(socket);
  const next = () => {
    const inFlight = socket._httpMessage;
    if (inFlight) inFlight.once('close', () => setImmediate(next));
    else socket.destroySoon();
  };
  next();
}

/** Never into an answer that has begun, nor in place of the answer to an earlier, well-formed request. */
function mayAnswer({ _httpMessage: inFlight }: AnsweringSocket): boolean {
  if (!inFlight) return true;
  const { req } = inFlight;
  return !inFlight.headersSent && (!req.complete || req.headers['transfer-encoding'] !== undefined);
}
