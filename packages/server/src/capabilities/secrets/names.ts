/** Which a placeholder could not hold, or which nobody sees. */
const UNUSABLE = /[{}"'\p{Cc}\p{Cs}]/u;

export const NAME_RULE = 'must not hold control characters, quotes and braces';

export function isSecretName(text: string): boolean {
  return !UNUSABLE.test(text.replace(/\s/gu, '_'));
}

/** Spaces become underscores, case stays (dataplane.md §3). */
export function normalizeName(text: string): string {
  return text.normalize('NFC').replace(/\s/gu, '_');
}

/** Names that are one name: neither case nor the way in which a letter is composed tells them apart. */
export function foldName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}
