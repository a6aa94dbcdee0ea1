import { Agent, request as send } from 'undici';
import type { SmallAnswer, SmallRequest } from './small-calls.js';

/**
 * To the metadata service of the machine, at a literal address that no configuration of a tenant names: over plain HTTP
 * and past the guard, which dials no such address. No proxy, no redirect.
 */
export async function callMachine(
  { method, url, headers }: SmallRequest,
  { timeoutMs, answerBytesMax }: { readonly timeoutMs: number; readonly answerBytesMax: number },
): Promise<SmallAnswer> {
  const dispatcher = new Agent({ headersTimeout: timeoutMs, bodyTimeout: timeoutMs, pipelining: 0 });
  try {
    const answer = await send(url, { method: method as 'GET', headers, dispatcher });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.body) {
      length += (chunk as Buffer).length;
      if (length > answerBytesMax) throw new Error(`the answer is longer than ${answerBytesMax} bytes`);
      chunks.push(chunk as Buffer);
    }
    return { status: answer.statusCode, headers: singleHeaders(answer.headers), body: Buffer.concat(chunks) };
  } finally {
    await dispatcher.destroy();
  }
}

function singleHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, [value].flat().at(-1) ?? '']);
  return Object.fromEntries(entries) as Record<string, string>;
}
