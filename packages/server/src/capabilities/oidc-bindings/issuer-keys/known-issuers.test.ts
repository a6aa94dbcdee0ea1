import { describe, expect, it } from 'vitest';
import type { TenantId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { createKnownIssuers } from './known-issuers.js';

const asker = (tenantSlug: string) => ({
  tenantSlug,
  scope: { tenantId: `id of ${tenantSlug}` as TenantId, sandbox: false },
});

describe('what is known of issuers', () => {
  it('is each tenant’s own', () => {
    const known = createKnownIssuers(() => 0);
    const first = known.of(asker('acme'), 'https://a.example');
    expect(known.of(asker('acme'), 'https://a.example')).toBe(first);
    expect(known.of(asker('globex'), 'https://a.example')).not.toBe(first);
  });

  it('is bounded in number; the longest unused leaves first', () => {
    const known = createKnownIssuers(() => 0);
    const first = known.of(asker('acme'), 'https://a.example');
    const second = known.of(asker('acme'), 'https://b.example');
    for (let n = 2; n < LIMITS.jwksIssuersMax; n++) known.of(asker('acme'), `https://${n}.example`);
    known.of(asker('acme'), 'https://a.example');
    known.of(asker('acme'), 'https://one-more.example');
    expect(known.size).toBe(LIMITS.jwksIssuersMax);
    expect(known.of(asker('acme'), 'https://a.example')).toBe(first);
    expect(known.of(asker('acme'), 'https://b.example')).not.toBe(second);
  });

  it('is bounded in size', () => {
    const known = createKnownIssuers(() => 0);
    const sets = LIMITS.jwksHeldBytesMax / LIMITS.jwksBytesMax;
    for (let n = 0; n < sets + 3; n++) {
      known.of(asker('acme'), `https://${n}.example`).held = { keys: [], bytes: LIMITS.jwksBytesMax };
      known.trim();
    }
    expect(known.size).toBe(sets);
    expect(known.of(asker('acme'), `https://${sets + 2}.example`).held).not.toBeNull();
    expect(known.of(asker('acme'), 'https://0.example').held).toBeNull();
  });
});
