import type { TestAnswer, TestCall } from './calls.js';

export const FORM = 'application/x-www-form-urlencoded';

export interface OAuthCall extends Pick<TestCall, 'host' | 'ip'> {
  /** As text it is sent as it is. */
  readonly form?: Readonly<Record<string, string>> | string;
  readonly authorization?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
}

type Ask = (method: string, path: string, call: TestCall) => Promise<TestAnswer>;

/** A form to an OAuth endpoint. */
export function askOAuth(ask: Ask, path: string, call: OAuthCall = {}): Promise<TestAnswer> {
  const { form = {}, authorization, headers, method = 'POST', ...rest } = call;
  return ask(method, path, {
    ...rest,
    headers: {
      'content-type': FORM,
      ...(authorization !== undefined && { authorization }),
      ...headers,
    },
    payload: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  });
}

export function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}

/** A key split at its id: name and secret of a client. */
export function basicOfKey(apiKey: string): string {
  const end = apiKey.lastIndexOf('_');
  return basic(apiKey.slice(0, end), apiKey.slice(end + 1));
}
