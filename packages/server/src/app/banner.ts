import type { Config } from '../platform/config/config.js';
import type { BootstrapContent } from './bootstrap-file.js';

export interface BannerFacts {
  readonly version: string;
  readonly config: Config;
  /** An address that the server has just reached itself. */
  readonly url: string;
  /** Of the TLS listener; null where there is none. */
  readonly tlsUrl: string | null;
  readonly firstStart: BootstrapContent | null;
  /** Where the credentials of an earlier first start still are. */
  readonly bootstrapFile: string | null;
  readonly isColoured: boolean;
}

const LABEL_WIDTH = 11;
const UNTIL = 'until the owner signs in, at most for 24 h';

export function renderBanner(facts: BannerFacts): string {
  const { config, firstStart } = facts;
  const paint = paintFor(facts.isColoured);
  const rows: [string, string][] = [
    ['URL', paint.bold(facts.url)],
    ...(facts.tlsUrl ? [['TLS', facts.tlsUrl] as [string, string]] : []),
    ['API docs', `${facts.url}/docs`],
    ...(config.hosts.publicUrl
      ? [['Public URL', `${config.hosts.publicUrl} (as configured)`] as [string, string]]
      : []),
    ['Data', config.dataDir],
    [
      'Database',
      config.storage.kind === 'sqlite' ? `SQLite, ${config.storage.path}` : 'PostgreSQL, DATABASE_URL',
    ],
  ];
  const sections = [paint.bold(`KnoxCall ${facts.version} is running`), table(rows, paint)];
  if (firstStart) sections.push(...firstStartSections(facts, firstStart, paint));
  else if (facts.bootstrapFile) {
    sections.push(`Credentials of the first start are in ${facts.bootstrapFile} ${UNTIL}.`);
  } else sections.push('New API keys: sign in as the owner, as README.md shows.');
  sections.push(paint.dim('Ctrl-C stops it.'));
  return `\n${sections.map(indent).join('\n\n')}\n\n`;
}

function firstStartSections(facts: BannerFacts, content: BootstrapContent, paint: Paint): string[] {
  const { filePath } = facts.config.bootstrap;
  const kept = filePath ? `; they also stand in ${filePath} ${UNTIL}` : '';
  const { rootKey } = facts.config;
  const backup =
    rootKey.kind === 'file'
      ? [
          paint.warn(
            `Back up ${rootKey.path} now, apart from the data. Without it the data cannot be read again.`,
          ),
        ]
      : [];
  return [
    `First start. These credentials are shown once${kept}.`,
    table(
      [
        ['Tenant', content.tenant.slug],
        ['Owner', content.admin.email],
        ['Password', content.admin.password],
        ['Live key', content.live_api_key],
        ['Test key', content.test_api_key],
      ],
      paint,
    ),
    ...backup,
    [
      'Make a vault, put a card number in, read it back (paste into bash):',
      '',
      ...curlLines(facts.url, content.live_api_key),
    ].join('\n'),
  ];
}

/** Lines that work when pasted into bash one by one; a second paste finds the vault made and goes on. */
export function curlLines(url: string, apiKey: string): string[] {
  const curl = `curl -sS -w '\\n' -H 'Authorization: Bearer ${apiKey}'`;
  const json = `-H 'Content-Type: application/json'`;
  return [
    `${curl} ${json} -d '{"name":"cards","token_format":"pan"}' ${url}/v1/vaults`,
    `TOKEN=$(${curl} ${json} -d '{"value":"4242424242424242"}' ${url}/v1/vaults/cards/tokens | sed 's/.*"token":"\\([^"]*\\)".*/\\1/'); echo "$TOKEN"`,
    `${curl} ${url}/v1/vaults/cards/tokens/$TOKEN`,
  ];
}

interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  warn(text: string): string;
}

function paintFor(isColoured: boolean): Paint {
  const style = (code: string) => (text: string) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { bold: style('1'), dim: style('2'), warn: style('33') };
}

function table(rows: readonly [string, string][], paint: Paint): string {
  return rows.map(([label, value]) => `${paint.dim(label.padEnd(LABEL_WIDTH))} ${value}`).join('\n');
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
