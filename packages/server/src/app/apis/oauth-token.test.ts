import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestCall } from '../../testing/calls.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';

/** The token endpoint: how clients authenticate, and the shapes of its refusals (cases T of oauth-dpop.md). */
let rig: MatrixRig;
beforeAll(async () => {
  rig = await openMatrixRig();
});
afterAll(() => rig.close());

const FORM = 'application/x-www-form-urlencoded';
const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

interface TokenRequest {
  readonly form?: Record<string, string> | string;
  readonly authorization?: string;
  readonly host?: string;
  readonly headers?: Record<string, string>;
  readonly path?: string;
  readonly method?: string;
}

async function token({
  form = {},
  authorization,
  headers,
  path = '/oauth/token',
  method = 'POST',
  host,
}: TokenRequest) {
  const call: TestCall = {
    ...(host && { host }),
    headers: { 'content-type': FORM, ...(authorization && { authorization }), ...headers },
    payload: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  };
  return rig.ask(method, path, call);
}

const CLIENT_CREDENTIALS = { grant_type: 'client_credentials' };
const liveKey = () => rig.tenant.live.apiKey;
const liveId = () => rig.tenant.live.keyId;
const secretOf = (key: string) => key.slice(key.lastIndexOf('_') + 1);
const keyBasic = () => basic(liveId(), secretOf(liveKey()));

describe('200', () => {
  it('gives a bearer token of a key, and tells what it holds', async () => {
    const { status, json, headers } = await token({ form: CLIENT_CREDENTIALS, authorization: keyBasic() });
    expect(status).toBe(200);
    expect(json).toEqual({
      access_token: expect.stringMatching(/^kc_live_(?!a_)[\w-]{43}$/),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: expect.stringContaining('vaults:detokenize'),
      tenant: 'acme',
    });
    expect(headers['cache-control']).toBe('no-store');
  });
});
