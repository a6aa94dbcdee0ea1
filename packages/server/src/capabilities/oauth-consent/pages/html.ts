import { sha256 } from '../../../platform/crypto/hashing.js';

/** Text that is markup already. Everything else that enters a page is escaped by `html`. */
export class Html {
  constructor(readonly text: string) {}
}

type Piece = string | number | Html | null | readonly Html[];

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function html(strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(strings.reduce((text, part, i) => text + textOf(pieces[i - 1] ?? null) + part));
}

function textOf(piece: Piece): string {
  if (piece === null) return '';
  if (piece instanceof Html) return piece.text;
  if (Array.isArray(piece)) return piece.map((one: Html) => one.text).join('');
  return String(piece).replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --card: #fff; --ground: #f4f4f6; --go: #1f4fd8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #b0b4ba; --line: #43484e; --card: #1f2226; --ground: #111315; --go: #7aa2ff; --bad: #ff9592; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 26rem; margin: 8vh auto 2rem; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
h1 { margin: 0 0 .5rem; font-size: 1.375rem; line-height: 1.3; overflow-wrap: anywhere; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
.brand { margin: 0 0 1.5rem; font-weight: 600; letter-spacing: .02em; }
.soft { color: var(--soft); font-size: .875rem; }
.bad { color: var(--bad); }
.code { font: 600 1.5rem/1.2 ui-monospace, monospace; letter-spacing: .1em; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; font-size: .875rem; }
input { width: 100%; padding: .625rem .75rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: 8px; }
ul { margin: .75rem 0; padding: 0; list-style: none; border-top: 1px solid var(--line); }
li { padding: .5rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
li a { color: inherit; display: block; }
.acts { display: flex; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1; padding: .625rem 1rem; font: inherit; font-weight: 600; cursor: pointer; border: 1px solid var(--soft); border-radius: 8px; background: transparent; color: inherit; }
button.go { background: var(--go); border-color: var(--go); color: var(--card); }
button.link { flex: none; padding: 0; border: 0; font-weight: 400; text-decoration: underline; color: var(--soft); font-size: .875rem; }
:focus-visible { outline: 3px solid var(--go); outline-offset: 2px; }
.note { margin: 1rem 0; padding: .25rem 1rem; border-left: 3px solid var(--line); }
`;

/** For the page's policy: it lets exactly this style in, and no script at all. */
export const STYLE_SOURCE = `'sha256-${sha256(STYLE).toString('base64')}'`;

export function page(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · KnoxCall</title>
<link rel="icon" href="data:,">
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<p class="brand">KnoxCall</p>
${body}
</main>
</body>
</html>
`;
}
