import { validationError } from '../../kernel/errors.js';

const FORM = /^l1\.([0-9]{1,16})$/;

/** Opaque to callers; the number inside the version is the row's id. */
export function encodeCursor(id: number): string {
  return Buffer.from(`l1.${id}`).toString('base64url');
}

export function decodeCursor(cursor: string): number {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const id = Number(FORM.exec(text)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(id) || encodeCursor(id) !== cursor) {
    throw validationError('cursor', 'is not a cursor of this feed');
  }
  return id;
}
