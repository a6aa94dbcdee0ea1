import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { route } from '../../../platform/http/route.js';
import { createHarness, type Harness } from '../../../testing/harness.js';

const act = {
  method: 'POST',
  summary: 'An act',
  permission: null,
  audit: null,
  body: z.object({ word: z.string().optional() }),
  response: z.object({ done: z.boolean() }),
  admin: 'bare',
  handle: async () => ({ done: true }),
} as const;
const ROUTES = [
  route({ ...act, path: '/admin/acts/five', stepUp: { maxAgeSeconds: 300 } }),
  route({ ...act, path: '/admin/acts/two', stepUp: { maxAgeSeconds: 120 } }),
  route({ ...act, path: '/admin/acts/once', stepUp: { maxAgeSeconds: 120, isConsumed: true } }),
  route({ ...act, path: '/admin/acts/own', access: 'session', stepUp: { maxAgeSeconds: 300 } }),
];

let harness: Harness;
let token: string;
beforeAll(async () => {
  harness = await createHarness({ furtherRoutes: ROUTES });
  token = await harness.signIn(harness.tenant.ownerEmail);
});
afterAll(() => harness.close());

async function outcome(path: string, stepUp: string | undefined, call: object = {}) {
  const sent = { token, ...(stepUp && { stepUp }), body: {}, ...call };
  const { status, json } = await harness.call('POST', `/admin/acts/${path}`, sent);
  return [status, json['error']?.['type']];
}
const OK = [200, undefined];
const REQUIRED = [401, 'step_up_required'];

describe('a step-up', () => {
  it('is good for each act of its session again and again, for as long as each allows', async () => {
    const stepUp = await harness.stepUp(token);
    for (const path of ['five', 'two', 'own', 'five']) expect(await outcome(path, stepUp)).toEqual(OK);
    await harness.advance(120_000);
    expect(await outcome('two', stepUp)).toEqual(OK);
    await harness.advance(1_000);
    const late = await harness.call('POST', '/admin/acts/two', { token, stepUp, body: {} });
    expect(late.json['error']).toMatchObject({ type: 'step_up_expired', max_age_seconds: 120 });
    expect(await outcome('five', stepUp)).toEqual(OK);
    await harness.advance(179_000);
    expect(await outcome('five', stepUp)).toEqual([401, 'step_up_expired']);
  });

  it('is due, and the challenge says so', async () => {
    const { status, headers, json } = await harness.call('POST', '/admin/acts/five', { token, body: {} });
    expect([status, json['error']]).toMatchObject([401, { type: 'step_up_required', max_age_seconds: 300 }]);
    expect(json['error'].message).toMatch(/POST \/admin\/auth\/step-up.*X-KnoxCall-StepUp/);
    expect(headers['www-authenticate']).toBe('Bearer error="insufficient_user_authentication", max_age=300');
    expect(await outcome('five', 'x'.repeat(43))).toEqual(REQUIRED);
    expect(await outcome('five', 'x'.repeat(2_000))).toEqual(REQUIRED);
  });

  it('is used up by an act that says so, once it is well formed', async () => {
    const stepUp = await harness.stepUp(token);
    expect(await outcome('once', stepUp, { body: { word: 1 } })).toEqual([400, 'validation_error']);
    const both = await Promise.all([outcome('once', stepUp), outcome('once', stepUp)]);
    expect(both.sort()).toEqual([OK, REQUIRED]);
    expect(await outcome('five', stepUp)).toEqual(REQUIRED);
  });

  it('is of no other session, user or tenant', async () => {
    const { tenant, other } = harness;
    const stepUp = await harness.stepUp(token);
    const again = await harness.signIn(tenant.ownerEmail);
    const admin = await harness.signInAs('admin');
    await harness.join(other.ownerEmail, tenant.id, 'owner');
    const ofTwo = await harness.signIn(other.ownerEmail);
    const inOther = await harness.stepUp(ofTwo, other.id);
    const named = (id: string) => ({ token: ofTwo, headers: { 'x-tenant-id': id } });
    const FORBIDDEN = [403, 'forbidden'];
    expect(await outcome('five', stepUp, { token: again })).toEqual(FORBIDDEN);
    expect(await outcome('five', stepUp, { token: admin })).toEqual(FORBIDDEN);
    expect(await outcome('five', inOther, named(tenant.id))).toEqual(FORBIDDEN);
    expect(await outcome('five', inOther, named(other.id))).toEqual(OK);
    expect(await outcome('own', inOther, { token: ofTwo })).toEqual(FORBIDDEN);
    expect(await outcome('own', await harness.stepUp(ofTwo, null), { token: ofTwo })).toEqual(OK);
  });

  it('that has ended is removed', async () => {
    await harness.stepUp(token);
    await harness.advance(300_000);
    expect(await harness.stepUpTokens.removeEnded(500)).toBeGreaterThan(0);
    expect(await harness.stepUpTokens.removeEnded(500)).toBe(0);
  });

  it.each([
    ['under /v1', { ...act, path: '/v1/acts', stepUp: { maxAgeSeconds: 1 } }],
    ['open to all', { ...act, path: '/admin/acts', access: 'public' as const, stepUp: { maxAgeSeconds: 1 } }],
  ])('is asked for by no route %s', async (_, definition) => {
    await expect(createHarness({ furtherRoutes: [route(definition)] })).rejects.toThrow('step-up');
  });
});
