import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.js';
import { builtin, header, jsonPath, regex, ruleSet } from '../../../testing/redaction-rules.js';
import { through } from '../../../testing/transforms.js';
import { createRegexPool, type RegexPool } from '../regex/regex-pool.js';
import { RegexSearch } from '../regex/regex-search.js';
import { type HeadOptions, type ResponseHead, redactHead, redactLogText } from './plan.js';
import type { RuleSpec } from './rule.js';

const PAN = '4111111111111111';

interface Answer {
  readonly headers: Record<string, string>;
  readonly status?: number;
  readonly method?: string;
}

function head(answer: Answer): ResponseHead {
  const rawHeaders = Object.entries(answer.headers).flat();
  return { method: answer.method ?? 'GET', status: answer.status ?? 200, rawHeaders };
}

const pool = createRegexPool({ clock: systemClock });
afterAll(() => pool.close());
/** How long an answer's rules may take is the matter of `regex-search.test.ts`: here a busy machine ends none of them. */
const untimed: Pick<RegexPool, 'run'> = {
  run: async (job) => ({ ...(await pool.run({ ...job, timeMs: 60_000 })), spentMs: 0 }),
};

const options: HeadOptions = {
  onRedacted: () => {},
  newSearch: (regexes) => new RegexSearch(regexes, { pool: untimed, clock: systemClock }),
  guard: null,
};

function open(answer: Answer, ...rules: RuleSpec[]) {
  return redactHead(ruleSet(...rules), head(answer), options);
}

/** What the caller receives of a body sent in these chunks. */
async function send(
  type: string | null,
  chunks: readonly (string | Buffer)[],
  ...rules: RuleSpec[]
): Promise<Buffer> {
  const { body } = open({ headers: type === null ? {} : { 'Content-Type': type } }, ...rules);
  const buffers = chunks.map((chunk) => Buffer.from(chunk));
  return through(body, buffers);
}

async function text(
  type: string | null,
  chunks: readonly (string | Buffer)[],
  ...rules: RuleSpec[]
): Promise<string> {
  return (await send(type, chunks, ...rules)).toString('utf8');
}

const pan = builtin('pan');
const path = jsonPath('$.card');

describe('headers', () => {
  it('drops what described the body as it was', () => {
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': '9',
      ETag: '"x"',
      'Content-MD5': 'x',
      Digest: 'x',
      'Repr-Digest': 'x',
      'Accept-Ranges': 'bytes',
      'X-Other': 'stays',
    };
    expect(open({ headers }, pan).rawHeaders).toEqual([
      'Content-Type',
      'application/json',
      'X-Other',
      'stays',
    ]);
  });

  it('leaves them where no rule covers the body', () => {
    const headers = { 'Content-Type': 'image/png', 'Content-Length': '9', ETag: '"4111111111111111"' };
    const opened = open({ headers }, pan, path);
    expect(opened.rawHeaders).toEqual(Object.entries(headers).flat());
    expect(opened.body).toEqual([]);
  });

  it('masks, removes and shortens by name, each of several', () => {
    const rules = [
      header('Set-Cookie'),
      header('x-gone', { action: 'remove' }),
      header('x-part', { action: 'partial_last4', replacement: '…' }),
    ];
    const rawHeaders = ['Set-Cookie', 'a=1', 'X-Gone', '1', 'set-cookie', 'b=2', 'X-Part', '123456789'];
    const answer = { method: 'GET', status: 200, rawHeaders };
    const { rawHeaders: out } = redactHead(ruleSet(...rules), answer, options);
    expect(out).toEqual(['Set-Cookie', '[REDACTED]', 'set-cookie', '[REDACTED]', 'X-Part', '*6789']);
  });

  it('searches values with the built-ins, but those of dates and hashes', () => {
    const headers = { 'X-Echo': `card ${PAN}`, ETag: `"${PAN}"`, Location: `https://x.example/?c=${PAN}` };
    expect(open({ headers, status: 304 }, pan).rawHeaders).toEqual([
      'X-Echo',
      'card [REDACTED]',
      'ETag',
      `"${PAN}"`,
      'Location',
      'https://x.example/?c=[REDACTED]',
    ]);
  });

  it.each<Answer>([
    { status: 204, headers: { 'Content-Type': 'application/json' } },
    { status: 304, headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' } },
    { method: 'HEAD', headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' } },
    { headers: { 'Content-Type': 'application/json', 'Content-Length': '0' } },
  ])('has no transform for an answer without body %#', (answer) => {
    expect(open(answer, pan).body).toEqual([]);
  });

  it('looks into what comes with 205, which has no body by its definition and is forwarded all the same', () => {
    const headers = { 'Content-Type': 'application/json' };
    expect(open({ status: 205, headers }, pan).body).toHaveLength(1);
  });
});

describe('refused', () => {
  it.each<[string, Answer]>([
    ['compressed otherwise', { headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'lzma' } }],
    ['compressed twice', { headers: { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip, br' } }],
    ['a part', { headers: { 'Content-Type': 'text/plain' }, status: 206 }],
    ['utf-16', { headers: { 'Content-Type': 'text/plain; charset="UTF-16"' } }],
    [
      'too long',
      { headers: { 'Content-Type': 'application/json', 'Content-Length': String(5 * 1024 * 1024 + 1) } },
    ],
  ])('%s', (_name, answer) => {
    expect(() => open(answer, pan)).toThrow(/cannot be inspected: the .*body/);
  });

  it('but not where no rule covers', () => {
    const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' };
    expect(open({ headers }, header('x-a')).body).toEqual([]);
    expect(open({ headers }, builtin('pan', { contentTypes: ['text/*'] })).body).toEqual([]);
    expect(open({ headers }, builtin('pan', { proxyModes: ['route'] })).body).toEqual([]);
    expect(open({ headers }, builtin('pan', { enabled: false })).body).toEqual([]);
  });

  it('a JSON body that grows too long', async () => {
    const chunks = Array.from({ length: 6 }, () => Buffer.alloc(1024 * 1024, 0x20));
    await expect(send('application/json', chunks, pan)).rejects.toThrow(/larger than redaction parses/);
  });

  it('a body that is not the JSON it is said to be, where a path must be followed', async () => {
    await expect(send('application/json', ['{"card":'], path)).rejects.toThrow(/not the JSON/);
    expect(await text('application/json', [`<b>${PAN}</b>`], pan)).toBe('<b>[REDACTED]</b>');
    expect(await text('application/json', [' \n'], path)).toBe(' \n');
  });
});

describe('bodies', () => {
  it('JSON', async () => {
    expect(await text('application/problem+json', ['{"card":"41', '11"}'], path)).toBe(
      '{"card":"[REDACTED]"}',
    );
  });

  it('text, with bytes of any kind kept', async () => {
    const odd = Buffer.concat([Buffer.from('é '), Buffer.from([0xff, 0xc3]), Buffer.from(` ${PAN} é`)]);
    const expected = Buffer.concat([Buffer.from('é '), Buffer.from([0xff, 0xc3]), Buffer.from(' • é')]);
    const rule = builtin('pan', { replacement: '•' });
    const bytes = [...odd].map((byte) => Buffer.from([byte]));
    expect(await send('text/html; charset=utf-8', bytes, rule)).toEqual(expected);
    expect(await text('text/html; charset=iso-8859-1', [PAN], rule)).toBe('*');
    expect(await text('application/x-unknown', [PAN], pan)).toBe('[REDACTED]');
  });

  it('text, whose charset has many spaces', async () => {
    const type = `text/plain; charset=${' '.repeat(1_000_000)}"x"y`;
    expect(await text(type, [PAN], pan)).toBe('[REDACTED]');
  });

  it('a binary type only where a rule names it', async () => {
    expect(await text('application/octet-stream', [PAN], pan)).toBe(PAN);
    const named = builtin('pan', { contentTypes: ['application/octet-stream'] });
    expect(await text('application/octet-stream', [PAN], named)).toBe('[REDACTED]');
  });

  it('JSON that is not called so', async () => {
    for (const type of [null, 'text/plain']) {
      expect(await text(type, [' ', '{"card":1}'], path)).toBe(' {"card":"[REDACTED]"}');
      expect(await text(type, ['{not json} ', PAN], path, pan)).toBe('{not json} [REDACTED]');
      expect(await text(type, ['plain ', PAN], path, pan)).toBe('plain [REDACTED]');
    }
  });

  it('one document a line', async () => {
    const lines = ['{"card":1}\n{"ca', 'rd":2}\r\n\n{"card"', ':3}'];
    const expected = '{"card":"[REDACTED]"}\n{"card":"[REDACTED]"}\r\n\n{"card":"[REDACTED]"}';
    expect(await text('application/x-ndjson', lines, path)).toBe(expected);
    await expect(send('application/x-ndjson', ['{}\n{\n'], path)).rejects.toThrow(/not the JSON/);
    expect(await text('application/json-seq', ['\x1e{"card":1}\n\x1e{"card":2}\n'], path)).toBe(
      '\x1e{"card":"[REDACTED]"}\n\x1e{"card":"[REDACTED]"}\n',
    );
  });

  it('events', async () => {
    const stream = [
      `: ${PAN}\nevent: x\r\ndata: {"card":\r\ndata:"a"}\r\nid: 1\r\n\r\nda`,
      `ta: [DONE]\n\ndata: plain ${PAN}\r\rdata:untouched\n`,
    ];
    const expected =
      ': [REDACTED]\nevent: x\r\ndata: {"card":\r\ndata: "[REDACTED]"}\r\nid: 1\r\n\r\n' +
      'data: [DONE]\n\ndata: plain [REDACTED]\r\rdata:untouched\n';
    for (const chunks of [stream, [...stream.join('')]]) {
      expect(await text('text/event-stream', chunks, path, pan)).toBe(expected);
    }
  });

  it('finds nothing across two events, and refuses one without end', async () => {
    const halves = `data: ${PAN.slice(0, 8)}\n\ndata: ${PAN.slice(8)}\n\n`;
    expect(await text('text/event-stream', [halves], pan)).toBe(halves);
    const endless = `data: ${'x'.repeat(256 * 1024)}`;
    await expect(send('text/event-stream', [endless], pan)).rejects.toThrow(/longer than redaction inspects/);
  });

  it('releases an event the moment it is complete', async () => {
    const { body } = open({ headers: { 'Content-Type': 'text/event-stream' } }, pan);
    body[0]!.write(`data: ${PAN}\n\ndata: next`);
    expect(String(body[0]!.read())).toBe('data: [REDACTED]\n\n');
  });
});

describe('log text', () => {
  it('is searched by the built-ins whose target it is', () => {
    const rules = ruleSet(
      builtin('pan', { target: 'log' }),
      builtin('email', { target: 'both' }),
      builtin('ssn'),
    );
    expect(redactLogText(rules, `/c/${PAN}/a@b.com/123-45-6789`)).toBe(
      '/c/[REDACTED]/[REDACTED]/123-45-6789',
    );
    expect(
      open({ headers: { 'Content-Type': 'text/plain' } }, builtin('pan', { target: 'log' })).body,
    ).toEqual([]);
  });
});

describe('what a body is when its head says little of it', () => {
  const body = '{"card":"x"}';

  it.each([
    'application/json, application/json',
    'application/json charset=utf-8',
    '"application/json"',
    'json',
    'text/html',
    'application/vnd.api.json',
  ])('a path finds JSON sent as %s', async (type) => {
    expect(await text(type, [body], path)).toBe('{"card":"[REDACTED]"}');
  });

  it('a byte order mark before the first event hides no data line', async () => {
    expect(await text('text/event-stream', [`\ufeffdata: ${body}\n\n`], path)).toBe(
      '\ufeffdata: {"card":"[REDACTED]"}\n\n',
    );
  });

  const wide = Buffer.from(`\ufeff{"card":"${PAN}"}`, 'utf16le');

  it.each(['application/json', 'text/plain', 'text/html', 'application/x-ndjson', 'text/event-stream'])(
    'text of two bytes a character is refused: %s',
    async (type) => {
      await expect(send(type, [wide.subarray(0, 1), wide.subarray(1)], pan)).rejects.toThrow('character set');
    },
  );

  it('the same without its mark, where JSON is due', async () => {
    await expect(send('application/json', [wide.subarray(2)], pan)).rejects.toThrow('character set');
  });
});

describe('compressed bodies', () => {
  const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip', ETag: '"x"' };

  it('leave inspected, and without their coding', async () => {
    const opened = open({ headers }, pan);
    expect(opened.rawHeaders).toEqual(['Content-Type', 'application/json']);
    const sent = await through(opened.body, [gzipSync(`{"a":"${PAN}"}`)]);
    expect(sent.toString()).toBe('{"a":"[REDACTED]"}');
  });

  it('are bounded by what they hold, not by what is sent', async () => {
    const { body } = open({ headers: { ...headers, 'Content-Length': '6000000' } }, pan);
    expect(body).toHaveLength(2);
    const sent = through(body, [gzipSync(Buffer.alloc(5 * 1024 * 1024 + 1, 0x20))]);
    await expect(sent).rejects.toThrow(/larger than redaction parses/);
  });

  it('pass as they are where no rule covers them, and in answers without a body', () => {
    const same = Object.entries(headers).flat();
    expect(open({ headers })).toEqual({ rawHeaders: same, body: [], echo: null });
    const image = { ...headers, 'Content-Type': 'image/png', 'Content-Encoding': 'lzma' };
    expect(open({ headers: image }, pan)).toEqual({
      rawHeaders: Object.entries(image).flat(),
      body: [],
      echo: null,
    });
    expect(open({ headers, status: 304 }, pan)).toEqual({ rawHeaders: same, body: [], echo: null });
  });
});

describe('a body in pieces of one byte', () => {
  const documents = `[${'{"a":"é 4111111111111111","n":1.50},'.repeat(400)}"end"]`;
  const events = `\ufeffid: 1\r\ndata: {"a":\r\ndata: "${PAN}"}\r\n\r\n: x ${PAN}\r\rdata: ${'y'.repeat(20_000)}\n\ndata: ${PAN}`;
  const lines = `{"a":"${PAN}"}\n\n${PAN} no JSON\n"${'y'.repeat(20_000)}"\r\n["${PAN}"]`;

  it.each([
    ['application/json', documents],
    [null, `  \n\t ${documents}`],
    [null, `  \n\t text ${documents}`],
    ['text/event-stream', events],
    ['application/x-ndjson', lines],
    ['application/json-seq', `\x1e"${PAN}"\n\x1e["${PAN}"]\n`],
    ['text/plain', documents],
  ])('leaves as it does whole: %s', async (type, body) => {
    const whole = await text(type, [body], pan);
    expect(whole).toContain('[REDACTED]');
    expect(await text(type, piecesOf(body, 1), pan)).toBe(whole);
    expect(await text(type, piecesOf(body, 3), pan)).toBe(whole);
  });

  it('is searched once for the ends of its records', async () => {
    const { body } = open({ headers: { 'Content-Type': 'application/x-ndjson' } }, pan);
    const stream = body[0] as unknown as { boundary: RegExp };
    const { boundary } = stream;
    let searched = 0;
    Object.defineProperty(boundary, 'test', {
      value(bytes: string): boolean {
        searched += bytes.length;
        return RegExp.prototype.test.call(this, bytes);
      },
    });
    const line = `"${'y'.repeat(20_000)}"\n`;
    expect((await through(body, piecesOf(line, 1))).toString()).toBe(line);
    expect(searched).toBeLessThan(5 * line.length);
  });
});

describe('regex rules', () => {
  const account = regex('ACC-\\d{6}');

  it.each([
    [
      'application/json',
      '{"ACC-123456":"x ACC-123456 y","n":123456}',
      '{"ACC-123456":"x [REDACTED] y","n":123456}',
    ],
    ['application/json', '["ü ACC-123456 ü","\\u0041CC-123456 \\n"]', '["ü [REDACTED] ü","[REDACTED] \\n"]'],
    ['application/json', 'no JSON: ACC-123456', 'no JSON: [REDACTED]'],
    ['text/plain', '\xfcber ACC-123456', '\xfcber [REDACTED]'],
    ['text/plain; charset=iso-8859-1', 'é ACC-123456', 'é [REDACTED]'],
    ['application/x-ndjson', '{"a":"ACC-123456"}\n"é ACC-000000"\n', '{"a":"[REDACTED]"}\n"é [REDACTED]"\n'],
    [
      'text/event-stream',
      'id: ACC-123456\ndata: {"a":"ACC-1\ndata: 23456"}\n\ndata: {"a":"ACC-123456"}\n\ndata: é ACC-123456\n\n',
      'id: [REDACTED]\ndata: {"a":"ACC-1\ndata: 23456"}\n\ndata: {"a":"[REDACTED]"}\n\ndata: é [REDACTED]\n\n',
    ],
  ])('in %s: %s', async (type, body, expected) => {
    expect(await text(type, [body], account)).toBe(expected);
  });

  it('overlapping what others find, replace it as one', async () => {
    const rules = [regex('card: \\d+', { action: 'partial_last4' }), pan];
    expect(await text('application/json', [`["card: ${PAN} ok"]`], ...rules)).toBe('["[REDACTED] ok"]');
    expect(await text('text/plain', [`card: ${PAN} ok`], ...rules)).toBe('[REDACTED] ok');
  });

  it('finding something in a value that a path names, keep its end untold', async () => {
    const last4 = jsonPath('$.a', { action: 'partial_last4' });
    expect(await text('application/json', ['{"a":"id ACC-123456"}'], account, last4)).toBe(
      '{"a":"[REDACTED]"}',
    );
    expect(await text('application/json', ['{"a":"id ACC-123456"}'], last4, account)).toBe(
      '{"a":"[REDACTED]3456"}',
    );
  });

  it('see the edges of each string, and of a text its true beginning and end', async () => {
    const whole = regex('^\\d{4}$');
    expect(await text('application/json', ['["1234","x1234",["1234 "]]'], whole)).toBe(
      '["[REDACTED]","x1234",["1234 "]]',
    );
    const filler = 'x'.repeat(3000);
    const edges = regex('^\\d{4}|\\d{4}$|\\b777\\b');
    const sent = `1234 ${filler}1234 777 a777 ${filler} 1234`;
    const expected = `[REDACTED] ${filler}1234 [REDACTED] a777 ${filler} [REDACTED]`;
    for (const size of [1, 500, 10_000]) {
      expect(await text('text/plain', piecesOf(sent, size), edges)).toBe(expected);
    }
  });

  it('make the same of a text however it is cut', async () => {
    const rules = [regex('k[ée]y=\\S{1,40}'), regex('(?i)A{2,5}b'), pan];
    const sent = `${'é key=ümlaut aaab AAB 4111111111111111 kéy=1 aaaaaaab '.repeat(60)}key=end`;
    const expected = await text('text/plain', [sent], ...rules);
    expect(expected).not.toMatch(/k[ée]y|aab|4111/i);
    for (const size of [3, 7, 1000, 1025]) {
      expect(await text('text/plain', piecesOf(sent, size), ...rules)).toBe(expected);
    }
  });

  it('hold back at most 1 KiB of a text', async () => {
    const { body } = open({ headers: { 'Content-Type': 'text/plain' } }, account);
    body[0]!.write('x'.repeat(5000));
    const first = (await new Promise((resolve) => body[0]!.once('data', resolve))) as Buffer;
    expect(first.length).toBe(5000 - 1024);
    body[0]!.destroy();
  });

  it.each([
    ['a match in a text that is longer than 1 KiB', 'text/plain', `key=${'x'.repeat(1200)} end`, 'key=\\S+'],
    ['more finds than an answer may have', 'application/json', `["${'ab'.repeat(60_000)}"]`, '[ab]'],
  ])('fail closed: %s', async (_, type, body, pattern) => {
    await expect(text(type, [body], regex(pattern))).rejects.toMatchObject({ type: 'redaction_failed' });
  });
});

function piecesOf(body: string, size: number): Buffer[] {
  const bytes = Buffer.from(body);
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}
