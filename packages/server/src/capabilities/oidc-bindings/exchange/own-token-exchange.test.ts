import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ACCESS_TOKEN,
  API,
  errorOf,
  type FederationRig,
  openFederationRig,
} from '../../../testing/federation-rig.js';

const INVALID_GRANT = [400, 'invalid_grant'];

let rig: FederationRig;
beforeEach(async () => {
  rig = await openFederationRig();
});
afterEach(() => rig.close());

const find = (token: string) => rig.oauth.tokens.find(token);

describe('a token of ours', () => {
  const exchangeOwn = (subject_token: string, params: Record<string, string> = {}, host = API) =>
    rig.exchange(subject_token, { subject_token_type: ACCESS_TOKEN, ...params }, host);
  async function own(): Promise<string> {
    await rig.bind(rig.tenant);
    return (await rig.exchange(await rig.assertion())).json['access_token'];
  }

  it('X23 is exchanged for a narrower one and stays what it is', async () => {
    const first = await own();
    const answer = await exchangeOwn(first, { scope: 'vaults:read' });
    expect(answer.json).toMatchObject({
      scope: 'vaults:read',
      issued_token_type: ACCESS_TOKEN,
      tenant: 'acme',
    });
    const parent = await find(first);
    expect([...parent!.permissions].sort()).toEqual(['proxy:invoke', 'vaults:read']);
    expect(await find(answer.json['access_token'])).toMatchObject({
      parentTokenId: parent!.id,
      source: parent!.source,
    });
    // More than one exchange: it is no assertion.
    expect((await exchangeOwn(first)).status).toBe(200);
    const wider = await exchangeOwn(answer.json['access_token'], { scope: 'proxy:invoke' });
    expect(errorOf(wider)).toEqual([400, 'invalid_scope']);
  });

  it('X25 is not outlived by what it is exchanged for', async () => {
    const first = await own();
    rig.clock.advance(3_000_000);
    const second = await exchangeOwn(first);
    expect(second.json['expires_in']).toBe(600);
    rig.clock.advance(600_000);
    expect(await find(second.json['access_token'])).toBeUndefined();
    expect(errorOf(await exchangeOwn(first))).toEqual(INVALID_GRANT);
  });

  it('of another mode or tenant than the host, revoked or unknown, is no subject token', async () => {
    const first = await own();
    for (const answer of [
      await exchangeOwn(first, {}, 'sandbox.localhost'),
      await exchangeOwn(first, {}, 'globex.localhost'),
      await exchangeOwn(first, { tenant: 'globex' }),
      await exchangeOwn('kc_live_x'),
      await exchangeOwn(await rig.assertion()),
    ])
      expect(errorOf(answer)).toEqual(INVALID_GRANT);
  });
});
