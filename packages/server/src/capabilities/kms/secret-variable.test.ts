import { expect, it } from 'vitest';
import { ownsSecretVariable, slugsOfSecretVariable } from './secret-variable.js';

it.each([
  ['KNOX_TENANT_KMS_ANY', 'acme', ['acme'], false],
  ['KNOX_TENANT_KMS_ACME_S', 'acme', ['acme', 'globex'], true],
  ['KNOX_TENANT_KMS_GLOBEX_S', 'acme', ['acme', 'globex'], false],
  ['KNOX_TENANT_KMS_ACME', 'acme', ['acme', 'globex'], false],
  ['KNOX_TENANT_KMS_ACMEX_S', 'acme', ['acme', 'globex'], false],
  ['KNOX_TENANT_KMS_ACME_EU_S', 'acme', ['acme', 'acme-eu'], false],
  ['KNOX_TENANT_KMS_ACME_EU_S', 'acme-eu', ['acme', 'acme-eu'], true],
  ['KNOX_TENANT_KMS_ACME_US_S', 'acme', ['acme', 'acme-eu'], true],
  ['MASTER_KEY_B64', 'acme', ['acme'], false],
  ['KNOX_TENANT_KMS_ACME_S_FILE', 'acme', ['acme'], false],
  ['KNOX_TENANT_KMS_acme', 'acme', ['acme'], false],
])('%s, of %s among %j: %s', (name, slug, slugs, owns) => {
  expect(ownsSecretVariable(name, slug, slugs)).toBe(owns);
});

it('names the slugs that a variable could be of, the longest first', () => {
  expect(slugsOfSecretVariable('KNOX_TENANT_KMS_ACME_EU_SECRET')).toEqual(['acme-eu', 'acme']);
  expect(slugsOfSecretVariable('KNOX_TENANT_KMS_ACME')).toEqual([]);
});
