import { expect, it } from 'vitest';
import { readReason } from './reasons.js';

it.each([
  ['unspecified', 'unspecified'],
  ['keyCompromise', 'key_compromise'],
  ['key_compromise', 'key_compromise'],
  ['KEY_COMPROMISE', 'key_compromise'],
  ['compromised', 'key_compromise'],
  ['affiliationChanged', 'affiliation_changed'],
  ['affiliation_changed', 'affiliation_changed'],
  ['superseded', 'superseded'],
  ['cessationOfOperation', 'cessation_of_operation'],
  ['cessation_of_operation', 'cessation_of_operation'],
  ['certificateHold', 'certificate_hold'],
  ['certificate_hold', 'certificate_hold'],
  ['privilegeWithdrawn', 'privilege_withdrawn'],
  ['privilege_withdrawn', 'privilege_withdrawn'],
])('%j is %s', (text, reason) => expect(readReason(text)).toEqual({ reason }));

it.each([
  'laptop lost on a train',
  'key compromise',
  'removeFromCRL',
  'cACompromise',
  '__proto__',
  'constructor',
])('%j is kept, of no code', (reasonText) =>
  expect(readReason(reasonText)).toEqual({ reason: 'unspecified', reasonText }),
);

it('is unspecified where none is given', () =>
  expect(readReason(undefined)).toEqual({ reason: 'unspecified' }));
