import type { IdSource } from '../../../kernel/ids.js';
import type { Secret } from '../../../kernel/secret.js';
import { channelCredentialsDue, channelFieldProblem } from '../errors.js';
import type { ChannelType } from '../tables.js';

/** Where an alert tells of itself; what of it anybody may read. */
export interface Channel {
  readonly id: string;
  readonly type: ChannelType;
  /** An address, a number, or of a URL, which may itself be a credential, the origin. */
  readonly target: string;
  readonly hasSecret: boolean;
}

/** Of a channel that calls a URL. */
export interface ChannelCredentials {
  readonly url: string;
  readonly secret?: string;
}

export type Credentials = Readonly<Record<string, ChannelCredentials>>;

/** As it was sent: a channel that stays is named by its id, and keeps what is not sent again. */
export interface GivenChannel {
  readonly id?: string | undefined;
  readonly type: ChannelType;
  readonly to?: string | undefined;
  readonly url?: Secret<string> | undefined;
  readonly secret?: Secret<string> | null | undefined;
}

export interface WrittenChannels {
  readonly channels: readonly Channel[];
  readonly credentials: Credentials;
  /** URLs that were not there before, by the field that has them. */
  readonly fresh: readonly { readonly field: string; readonly url: string }[];
}

const HIDDEN = '****';

/** What the given ones make of those that are there. */
export function writeChannels(
  given: readonly GivenChannel[],
  former: { readonly channels: readonly Channel[]; readonly credentials: Credentials },
  ids: IdSource,
): WrittenChannels {
  const channels: Channel[] = [];
  const credentials: Record<string, ChannelCredentials> = {};
  const fresh: { field: string; url: string }[] = [];
  for (const [at, one] of given.entries()) {
    const field = `channels[${at}]`;
    const known = one.id === undefined ? undefined : former.channels.find(({ id }) => id === one.id);
    if (one.id !== undefined && known === undefined)
      throw channelFieldProblem(`${field}.id`, 'names no channel of the alert');
    if (known !== undefined && known.type !== one.type)
      throw channelFieldProblem(`${field}.type`, 'cannot be another; leave the id out for a new channel');
    if (known !== undefined && channels.some(({ id }) => id === known.id))
      throw channelFieldProblem(`${field}.id`, 'is there twice');
    const id = known?.id ?? ids.uuid();
    if (one.type === 'email' || one.type === 'sms') {
      const target = one.to ?? known?.target;
      if (target === undefined) throw channelFieldProblem(`${field}.to`, `is due with type ${one.type}`);
      channels.push({ id, type: one.type, target, hasSecret: false });
      continue;
    }
    const stored = known && former.credentials[known.id];
    const written = credentialsOf(one, stored, field);
    if (written.url !== stored?.url) fresh.push({ field: `${field}.url`, url: written.url });
    credentials[id] = written;
    channels.push({
      id,
      type: one.type,
      target: maskedUrl(written.url),
      hasSecret: written.secret !== undefined,
    });
  }
  return { channels, credentials, fresh };
}

function credentialsOf(
  { type, url, secret }: GivenChannel,
  stored: ChannelCredentials | undefined,
  field: string,
): ChannelCredentials {
  const address = url?.reveal() ?? stored?.url;
  if (address === undefined) throw channelFieldProblem(`${field}.url`, `is due with type ${type}`);
  // contract README §10: who sends it elsewhere sends along what is sent there.
  if (stored?.secret !== undefined && secret === undefined && address !== stored.url)
    throw channelCredentialsDue(field);
  const key = secret === undefined ? stored?.secret : secret?.reveal();
  return { url: address, ...(key !== undefined && { secret: key }) };
}

/** Path, query and user of a webhook's URL are as good as a password. */
export function maskedUrl(url: string): string {
  return URL.canParse(url) ? `${new URL(url).origin}/${HIDDEN}` : HIDDEN;
}
