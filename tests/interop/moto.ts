import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AwsKey } from '../../packages/server/src/capabilities/kms/cloud-key.js';
import type { CloudService } from '../../packages/server/src/testing/cloud-kms/emulator.js';
import { freePort } from '../../packages/server/src/testing/programs.js';
import type { TestCa } from '../../packages/server/src/testing/tls-upstream.js';

const HOSTS = ['kms.aws.emulator.test', 'sts.aws.emulator.test'] as const;
/** The one that moto gives who does not name another. */
export const MOTO_ACCOUNT = '123456789012';
const USER = 'knoxcall';
const EXTERNAL_ID = 'acme-external-id';
const REGION = 'eu-central-1';
const START_MS_MAX = 60_000;
const TURN_MS = 100;

/** moto, a server of AWS of other makers, with an account that owns two keys and a role. */
export interface Moto extends CloudService {
  readonly key: AwsKey;
  readonly otherKey: AwsKey;
  /** By an alias that leads to `key`. */
  readonly aliasKey: AwsKey;
  keyOf(change: { keyRef?: string; roleArn?: string }): AwsKey;
  /** A role that the server is let at and that may do these acts on keys; its ARN. */
  role(name: string, actions: readonly string[], asksForExternalId?: boolean): Promise<string>;
  /** From now on signatures are checked, and each call needs a policy that allows it; until then neither. */
  enforce(): Promise<void>;
}

export async function startMoto(python: string, ca: TestCa): Promise<Moto> {
  const dir = mkdtempSync(join(tmpdir(), 'knox-moto-'));
  const { certPem, keyPem } = await ca.issue(HOSTS);
  writeFileSync(join(dir, 'cert.pem'), certPem);
  writeFileSync(join(dir, 'key.pem'), keyPem, { mode: 0o600 });
  const port = await freePort();
  const words = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
  const tls = ['-c', join(dir, 'cert.pem'), '-k', join(dir, 'key.pem')];
  const child = spawn(python, [...words, ...tls], { stdio: 'ignore', cwd: dir });
  const ended = once(child, 'close');

  function ask(service: string, headers: Record<string, string>, body: string, path = '/'): Promise<string> {
    const scope = `20260101/${REGION}/${service}/aws4_request`;
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          host: '127.0.0.1',
          port,
          path,
          method: 'POST',
          servername: HOSTS[0],
          ca: ca.caPem,
          headers: {
            host: `${HOSTS[0]}:${port}`,
            // By it moto finds the service; the signature is not looked at yet.
            authorization: `AWS4-HMAC-SHA256 Credential=AKIA/${scope}, SignedHeaders=host, Signature=0`,
            ...headers,
          },
        },
        async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          const text = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${service} of moto: ${response.statusCode} ${text}`));
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
  }

  const query = (service: string, form: Record<string, string>) =>
    ask(
      service,
      { 'content-type': 'application/x-www-form-urlencoded' },
      new URLSearchParams(form).toString(),
    );
  const kms = async (act: string, input: object) =>
    JSON.parse(
      (await ask(
        'kms',
        { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `TrentService.${act}` },
        JSON.stringify(input),
      )) || '{}',
    ) as { KeyMetadata: { Arn: string } };

  async function untilReady(): Promise<void> {
    const lastAt = performance.now() + START_MS_MAX;
    for (;;) {
      try {
        await query('sts', { Action: 'GetCallerIdentity', Version: '2011-06-15' });
        return;
      } catch (error) {
        if (child.exitCode !== null || performance.now() > lastAt) throw error;
        await new Promise((resolve) => setTimeout(resolve, TURN_MS));
      }
    }
  }

  async function close(): Promise<void> {
    child.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true });
  }

  const iam = (form: Record<string, string>) => query('iam', { Version: '2010-05-08', ...form });

  async function role(name: string, actions: readonly string[], asksForExternalId = true): Promise<string> {
    const condition = { StringEquals: { 'sts:ExternalId': EXTERNAL_ID } };
    const trust = policyOf({
      Principal: { AWS: `arn:aws:iam::${MOTO_ACCOUNT}:user/${USER}` },
      Action: 'sts:AssumeRole',
      ...(asksForExternalId ? { Condition: condition } : {}),
    });
    await iam({ Action: 'CreateRole', RoleName: name, AssumeRolePolicyDocument: trust });
    const policy = policyOf({ Action: actions, Resource: '*' });
    await iam({ Action: 'PutRolePolicy', RoleName: name, PolicyName: 'keys', PolicyDocument: policy });
    return `arn:aws:iam::${MOTO_ACCOUNT}:role/${name}`;
  }

  /** The access key that the server has for its own. */
  async function accessKey(): Promise<{ id: string; secret: string }> {
    await iam({ Action: 'CreateUser', UserName: USER });
    const policy = policyOf({ Action: 'sts:AssumeRole', Resource: '*' });
    await iam({ Action: 'PutUserPolicy', UserName: USER, PolicyName: 'roles', PolicyDocument: policy });
    const made = await iam({ Action: 'CreateAccessKey', UserName: USER });
    const member = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(made)![1]!;
    return { id: member('AccessKeyId'), secret: member('SecretAccessKey') };
  }

  try {
    await untilReady();
    const [arn, otherArn] = await Promise.all(
      [1, 2].map(async () => (await kms('CreateKey', {})).KeyMetadata.Arn),
    );
    await kms('CreateAlias', { AliasName: 'alias/acme', TargetKeyId: arn });
    const roleArn = await role('keys', ['kms:Encrypt', 'kms:Decrypt']);
    const { id, secret } = await accessKey();
    const keyOf = ({ keyRef = arn!, roleArn: other = roleArn }): AwsKey => ({
      provider: 'aws',
      keyRef,
      config: { region: REGION, roleArn: other, externalId: EXTERNAL_ID },
    });
    return {
      endpoints: { awsKms: `https://${HOSTS[0]}:${port}`, awsSts: `https://${HOSTS[1]}:${port}` },
      environment: {
        AWS_ACCESS_KEY_ID: id,
        AWS_SECRET_ACCESS_KEY: secret,
        AWS_CONFIG_FILE: '/nonexistent',
        AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
        AWS_EC2_METADATA_DISABLED: 'true',
      },
      hosts: HOSTS,
      key: keyOf({}),
      otherKey: keyOf({ keyRef: otherArn! }),
      aliasKey: keyOf({ keyRef: arn!.replace(/:key\/.*$/, ':alias/acme') }),
      keyOf,
      role,
      enforce: async () => {
        await ask('moto-api', {}, '0', '/moto-api/reset-auth');
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function policyOf(statement: object): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] });
}
