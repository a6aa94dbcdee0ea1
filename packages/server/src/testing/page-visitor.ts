import type { TestAnswer, TestCall } from './calls.js';

type Ask = (method: string, path: string, call: TestCall) => Promise<TestAnswer>;

/** A browser without script: keeps cookies, sends the forms of a page as they stand in it. */
export interface PageVisitor {
  readonly cookies: Map<string, string>;
  get(path: string): Promise<TestAnswer>;
  /** The first form of the page that has the button, with these fields filled in. */
  press(page: TestAnswer, act: string, fields?: Readonly<Record<string, string>>): Promise<TestAnswer>;
  post(path: string, form: Readonly<Record<string, string>>): Promise<TestAnswer>;
}

export function createPageVisitor(ask: Ask, call: Pick<TestCall, 'host' | 'ip'> = {}): PageVisitor {
  const cookies = new Map<string, string>();

  async function send(method: string, path: string, payload?: string): Promise<TestAnswer> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask(method, path, {
      ...call,
      headers: {
        ...(cookie !== '' && { cookie }),
        ...(payload !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(payload !== undefined && { payload }),
    });
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      const [pair = ''] = String(line).split(';');
      const [name = '', value = ''] = pair.split('=');
      if (String(line).includes('Max-Age=0')) cookies.delete(name);
      else cookies.set(name, value);
    }
    return answer;
  }

  const post: PageVisitor['post'] = (path, form) => send('POST', path, new URLSearchParams(form).toString());

  return {
    cookies,
    get: (path) => send('GET', path),
    post,
    press(page, act, fields = {}) {
      const form = [...page.text.matchAll(/<form method="post" action="([^"]*)">([\s\S]*?)<\/form>/g)].find(
        ([, , inner]) => inner!.includes(`name="act" value="${act}"`),
      );
      if (!form) throw new Error(`no form has the button ${act}: ${page.status} ${page.text}`);
      const hidden = [...form[2]!.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)];
      const sent = Object.fromEntries(hidden.map(([, name, value]) => [name!, value!]));
      return post(form[1]!.replaceAll('&amp;', '&'), { ...sent, ...fields, act });
    },
  };
}
