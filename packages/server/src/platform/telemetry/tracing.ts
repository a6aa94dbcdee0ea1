import type { IncomingMessage } from 'node:http';
import type { Caller } from '../../kernel/principal.js';

/** Where a request is in its list of named steps. A step ends with the next one, the last with the request. */
export interface StepTrace {
  step(name: string): void;
  /** The step that talks to another server. */
  stepUpstream(
    name: string,
    method: string,
    target: { readonly hostname: string; readonly port: number },
  ): void;
  upstreamAnswered(status: number): void;
}

export interface RequestTrace extends StepTrace {
  end(
    /** The pattern that fitted; never the path, which may hold a token. */
    route: string | undefined,
    response: { readonly statusCode: number; readonly writableEnded: boolean },
    errorType: string | null,
    caller: Caller | null,
  ): void;
}

export interface Tracing {
  begin(request: IncomingMessage, requestId: string): RequestTrace;
  /** Sends what is left. */
  close(): Promise<void>;
}
