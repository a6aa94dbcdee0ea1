import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../../../kernel/ids.js';
import { startAwsEmulator } from '../../../../testing/cloud-kms/aws-emulator.js';
import { startAzureEmulator } from '../../../../testing/cloud-kms/azure-emulator.js';
import { type CloudEmulator, freshState } from '../../../../testing/cloud-kms/emulator.js';
import { startGcpEmulator } from '../../../../testing/cloud-kms/gcp-emulator.js';
import { startAzureWorkload } from '../../../../testing/cloud-kms/machine.js';
import { type CloudRig, startCloudRig } from '../../../../testing/cloud-kms/rig.js';
import type { TestCa } from '../../../../testing/tls-upstream.js';
import { kmsProviderContract } from '../contract.js';
import { KmsFailure, type KmsProvider, type WrapContext } from '../types.js';

const CONTEXT: WrapContext = { tenantId: 'b4f9a6be-7d0c-4f8e-9d3c-0a3f4a0e6c11' as TenantId, version: 3 };
const DEK = Buffer.alloc(32, 0x5a);
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

const EMULATORS: Record<string, (ca: TestCa) => Promise<CloudEmulator>> = {
  aws: startAwsEmulator,
  gcp: startGcpEmulator,
  azure: startAzureEmulator,
  'azure from a pod': startAzureWorkload,
};

describe.each(Object.entries(EMULATORS))('%s by its own client', (name, start) => {
  let rig: CloudRig<CloudEmulator>;
  let emulator: CloudEmulator;
  let provider: KmsProvider;
  const open = () => rig.providers(emulator.key, 'customer_kms');

  beforeAll(async () => {
    rig = await startCloudRig(start);
    emulator = rig.emulator;
    provider = open();
  });
  beforeEach(() => {
    Object.assign(emulator.state, freshState());
    (emulator.calls as string[]).length = 0;
    (rig.waits as number[]).length = 0;
    rig.measured.length = 0;
  });
  afterAll(() => rig?.close());

  kmsProviderContract(open, () => rig.providers(emulator.otherKey, 'customer_kms'));

  const failureOf = async (attempt: Promise<unknown>): Promise<KmsFailure> => {
    const error = await attempt.then(
      () => null,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(KmsFailure);
    const text = JSON.stringify([String(error), (error as Error).stack, error]);
    for (const secret of emulator.secrets) expect(text).not.toContain(secret);
    return error as KmsFailure;
  };

  const asked = (what: string) => emulator.calls.filter((call) => call === what).length;
  /** What comes over a socket needs turns of the loop, and a bound on them. */
  async function untilAsked(times: number): Promise<void> {
    for (let turn = 0; turn < 100_000 && asked('encrypt') < times; turn++) await nextTurn();
    expect(asked('encrypt')).toBe(times);
  }

  it('asks who it is anew for each use, so that a grant that was withdrawn is missed at once', async () => {
    const wrapped = await provider.wrap(DEK, CONTEXT);
    await provider.unwrap(wrapped, CONTEXT);
    expect(emulator.calls).toEqual(['identity', 'encrypt', 'identity', 'decrypt']);
    emulator.state.isTrusted = false;
    expect(await failureOf(provider.unwrap(wrapped, CONTEXT))).toMatchObject({
      reason: 'access_denied',
      stage: 'identity',
    });
    expect(emulator.calls.slice(4)).toEqual(['identity']);
  });

  it.each([
    ['encrypt only', { mayDecrypt: false }],
    ['decrypt only', { mayEncrypt: false }],
  ])('fails its probe where it may %s', async (_what, change) => {
    Object.assign(emulator.state, change);
    expect(await failureOf(provider.probe())).toMatchObject({ reason: 'access_denied', stage: 'key' });
  });

  it('tells a disabled key from a missing grant', async () => {
    const wrapped = await provider.wrap(DEK, CONTEXT);
    emulator.state.isEnabled = false;
    expect(await failureOf(provider.unwrap(wrapped, CONTEXT))).toMatchObject({
      reason: 'key_unusable',
      stage: 'key',
    });
    expect(await failureOf(provider.probe())).toMatchObject({ reason: 'key_unusable' });
    expect(rig.waits).toEqual([]);
  });

  it.each(['throttled', 'failing'] as const)(
    'tries three times with a pause of its own where the service is %s',
    async (answers) => {
      emulator.state.answers = answers;
      expect(await failureOf(provider.wrap(DEK, CONTEXT))).toMatchObject({
        reason: 'unreachable',
        stage: 'key',
      });
      const result = answers === 'failing' ? 'unreachable' : 'throttled';
      const call = { provider: emulator.key.provider, op: 'wrap', result, seconds: expect.any(Number) };
      expect(rig.measured).toEqual([call, call, call]);
      expect(asked('encrypt')).toBe(3);
      expect(rig.waits).toHaveLength(2);
      expect(rig.waits[0]).toSatisfy((ms: number) => ms >= 100 && ms < 200);
      expect(rig.waits[1]).toSatisfy((ms: number) => ms >= 400 && ms < 800);
    },
  );

  it('goes on where a later attempt is answered', async () => {
    emulator.state.answers = 'failing';
    const wrapped = provider.wrap(DEK, CONTEXT);
    await untilAsked(1);
    emulator.state.answers = 'as_asked';
    expect(await provider.unwrap(await wrapped, CONTEXT)).toEqual(DEK);
  });

  it('takes a session that has expired as soon as it was given for a refusal', async () => {
    emulator.state.answers = 'expired';
    expect(await failureOf(provider.wrap(DEK, CONTEXT))).toMatchObject({
      reason: 'access_denied',
      stage: 'key',
    });
    expect(asked('encrypt')).toBe(1);
  });

  it('takes no key of another length', async () => {
    const wrapped = await provider.wrap(DEK, CONTEXT);
    emulator.state.answers = 'short_key';
    expect(await failureOf(provider.unwrap(wrapped, CONTEXT))).toMatchObject({
      reason: 'bad_ciphertext',
      code: 'wrong_length',
    });
  });

  describe.each(['huge', 'html', 'redirect'] as const)('answered by something else: %s', (answers) => {
    it.each(['answers', 'identityAnswers'] as const)('%s', async (whose) => {
      emulator.state[whose] = answers;
      const stage = whose === 'answers' ? 'key' : 'identity';
      expect(await failureOf(provider.wrap(DEK, CONTEXT))).toMatchObject({ reason: 'unreachable', stage });
      expect(asked(whose === 'answers' ? 'encrypt' : 'identity')).toBe(3);
      emulator.state[whose] = 'as_asked';
      expect(await provider.unwrap(await provider.wrap(DEK, CONTEXT), CONTEXT)).toEqual(DEK);
    });
  });

  it('measures each attempt', async () => {
    await provider.unwrap(await provider.wrap(DEK, CONTEXT), CONTEXT);
    expect(rig.measured).toEqual(
      ['wrap', 'unwrap'].map((op) => ({
        provider: emulator.key.provider,
        op,
        result: 'ok',
        seconds: expect.any(Number),
      })),
    );
  });

  it.each(['silent', 'drip'] as const)(
    'waits five seconds for an answer, three times: %s',
    async (answers) => {
      emulator.state.answers = answers;
      const failure = failureOf(provider.wrap(DEK, CONTEXT));
      for (const attempt of [1, 2, 3]) {
        await untilAsked(attempt);
        rig.egressRig.clock.advance(5_000);
      }
      expect(await failure).toMatchObject({ reason: 'unreachable', code: expect.stringMatching(/./) });
    },
  );

  it('does not take an answer that is not whole', async () => {
    emulator.state.answers = 'broken';
    expect(await failureOf(provider.wrap(DEK, CONTEXT))).toMatchObject({ reason: 'unreachable' });
  });

  it('is unreachable where its name leads nowhere, and says so', async () => {
    const wrapped = await provider.wrap(DEK, CONTEXT);
    for (const host of emulator.hosts) rig.egressRig.dns.set(host, null);
    rig.egressRig.clock.advance(61_000);
    try {
      expect(await failureOf(open().unwrap(wrapped, CONTEXT))).toMatchObject({
        reason: 'unreachable',
        code: 'dns_failure',
      });
    } finally {
      for (const host of emulator.hosts) rig.egressRig.dns.set(host, ['127.0.0.1']);
      rig.egressRig.clock.advance(61_000);
    }
  });

  it('sends nothing to an address that no variable of the operator opened', async () => {
    const connected = emulator.calls.length;
    for (const host of emulator.hosts) rig.egressRig.dns.set(host, ['169.254.169.254']);
    rig.egressRig.clock.advance(61_000);
    try {
      expect(await failureOf(open().probe())).toMatchObject({ reason: 'unreachable', code: 'ssrf_blocked' });
      expect(emulator.calls).toHaveLength(connected);
    } finally {
      for (const host of emulator.hosts) rig.egressRig.dns.set(host, ['127.0.0.1']);
      rig.egressRig.clock.advance(61_000);
    }
  });

  it(`names its key as ${name} does`, () => {
    expect(provider.describe()).toEqual({ wrapMethod: 'customer_kms', keyReference: emulator.key.keyRef });
  });
});
