import { validationError } from '../../../kernel/errors.js';

const FORM = /^a1\.([0-9]{1,16})$/;

/** Opaque to callers; the number inside the version is the place in the tenant's chain. */
export function encodeCursor(sequenceNumber: number): string {
  return Buffer.from(`a1.${sequenceNumber}`).toString('base64url');
}

export function decodeCursor(cursor: string): number {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const sequenceNumber = Number(FORM.exec(text)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(sequenceNumber) || encodeCursor(sequenceNumber) !== cursor) {
    throw validationError('cursor', 'is not a cursor of this feed');
  }
  return sequenceNumber;
}
