import { expect, test } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { createOpenedValues } from './opened-values.js';

const [one, other] = ['one' as TenantId, 'other' as TenantId];
const envelope = Buffer.from('sealed');

function opened() {
  let forget: (tenantId: TenantId) => void = () => undefined;
  const values = createOpenedValues({
    onForget(listener) {
      forget = listener;
    },
  });
  return { values, forget: (tenantId: TenantId) => forget(tenantId) };
}

test('what was opened is known to its tenant by its envelope, and to no other', () => {
  const { values } = opened();
  const text = new Secret('value');
  values.begin(one)(envelope, text);
  expect(values.find(one, envelope)).toBe(text);
  expect(values.find(other, envelope)).toBeUndefined();
  expect(values.find(one, Buffer.from(envelope))).toBeUndefined();
});

test('it leaves with the keys of its tenant, and of no other', () => {
  const { values, forget } = opened();
  values.begin(one)(envelope, new Secret('value'));
  forget(other);
  expect(values.find(one, envelope)).toBeDefined();
  forget(one);
  expect(values.find(one, envelope)).toBeUndefined();
});

test('a value whose key has left while it was opened is not kept', () => {
  const { values, forget } = opened();
  const keep = values.begin(one);
  forget(one);
  keep(envelope, new Secret('value'));
  expect(values.find(one, envelope)).toBeUndefined();
});
