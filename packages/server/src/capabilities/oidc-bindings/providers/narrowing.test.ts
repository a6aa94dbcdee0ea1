import { describe, expect, it } from 'vitest';
import type { Claims } from '../store.js';
import { narrowingProblems } from './narrowing.js';
import { type Provider, providerOf } from './profiles.js';

const GITHUB = 'https://token.actions.githubusercontent.com';
const GOOGLE = 'https://accounts.google.com';
const EKS = 'https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE';
const DIRECTORY = 'b9419818-09af-49c2-b0c3-653adc1f376e';
const ENTRA = `https://login.microsoftonline.com/${DIRECTORY}/v2.0`;
const CONSUMERS = '9188040d-6c67-4c5b-b112-36a304b66dad';
const CIRCLE = `https://oidc.circleci.com/org/${DIRECTORY}`;

type Case = readonly [issuer: string, subject: string | null, claims: Claims];

const problems = ([issuer, subject, claims]: Case, provider: Provider = providerOf(issuer)) =>
  Object.fromEntries(narrowingProblems({ provider, issuer, subject, claims }));

describe('a binding that lets in workloads of one owner', () => {
  it.each<Case>([
    [GITHUB, 'repo:acme/shop:ref:refs/heads/main', {}],
    [GITHUB, 'repo:acme/*:environment:production', {}],
    [GITHUB, 'repo:acme@1234/shop@5678:ref:refs/heads/main', {}],
    [GITHUB, 'repository_owner_id:65:environment:production', {}],
    [GITHUB, null, { repository: ['acme/shop'] }],
    [GITHUB, null, { repository_id: ['74', '75'] }],
    [GITHUB, '*:*', { repository_owner_id: ['65'] }],
    [`${GITHUB}/acme-corp`, 'repo:acme/shop:pull_request', {}],
    [GOOGLE, '113774264463038321964', {}],
    [GOOGLE, null, { email: ['ci@acme.iam.gserviceaccount.com'] }],
    [EKS, 'system:serviceaccount:payments:*', {}],
    ['https://0a1b.tokens.sts.global.api.aws', 'arn:aws:iam::123456789012:role/ci', {}],
    [ENTRA, null, { oid: [DIRECTORY] }],
    [ENTRA, null, { tid: [DIRECTORY] }],
    [`https://sts.windows.net/${DIRECTORY}/`, DIRECTORY, {}],
    ['https://oidc.vercel.com/acme', 'owner:acme:project:shop:environment:*', {}],
    ['https://oidc.vercel.com', null, { owner_id: ['team_1'], project_id: ['prj_1'] }],
    [CIRCLE, null, { 'oidc.circleci.com/project-id': [DIRECTORY] }],
    [CIRCLE, `org/${DIRECTORY}/project/${CONSUMERS}/user/*`, {}],
    [
      'https://agent.buildkite.com',
      'organization:acme:pipeline:shop:ref:refs/heads/main:commit:*:step:*',
      {},
    ],
    ['https://agent.buildkite.com', null, { organization_slug: ['acme'], pipeline_slug: ['shop'] }],
    ['https://gitlab.com', 'project_path:acme/*:ref_type:branch:ref:main', {}],
    ['https://gitlab.com', null, { project_id: ['22'] }],
    ['https://idp.example.net/realms/ci', 'ci-runner', {}],
    ['https://idp.example.net/realms/ci', 'system:serviceaccount:*', {}],
    ['https://idp.example.net/realms/ci', null, { team: ['payments'] }],
    ['https://app.terraform.io', 'organization:acme:project:*:workspace:*:run_phase:apply', {}],
  ])('of %s, %s, %j', (...one) => {
    expect(problems(one)).toEqual({});
  });
});

describe('a binding that any stranger of the same provider could satisfy is refused', () => {
  it.each<Case>([
    // The issuer alone, or a subject that is any.
    [GITHUB, null, {}],
    [GITHUB, '*', {}],
    [GITHUB, '*:*/*:*:*/*/*', {}],
    [GOOGLE, null, {}],
    [GOOGLE, '*', {}],
    [GOOGLE, '1137*', {}],
    [EKS, null, {}],
    [EKS, 'system:serviceaccount:*:*', {}],
    [EKS, 'system:*:payments:ci', {}],
    [ENTRA, null, {}],
    [ENTRA, '*', {}],
    ['https://oidc.vercel.com', null, {}],
    [CIRCLE, null, {}],
    ['https://agent.buildkite.com', null, {}],
    ['https://gitlab.com', null, {}],
    ['https://idp.example.net', null, {}],
    ['https://idp.example.net', '*', {}],
    ['https://app.terraform.io', null, { terraform_run_phase: ['apply'] }],
    ['https://app.terraform.io', 'organization:*:project:shop:workspace:main:run_phase:apply', {}],
    ['https://idp.example.net', 'ci-*', {}],
    ['https://idp.example.net', 'organization:*:project:shop', {}],
    // A star where the owner stands.
    [GITHUB, 'repo:*/shop:ref:refs/heads/main', {}],
    [GITHUB, 'repo:acme*/shop:ref:refs/heads/main', {}],
    [GITHUB, 'repo:*:environment:production', {}],
    ['https://gitlab.com', 'project_path:*/shop:ref_type:branch:ref:main', {}],
    ['https://gitlab.com', 'project_path:acme*/shop:ref_type:branch:ref:main', {}],
    ['https://agent.buildkite.com', 'organization:*:pipeline:shop:ref:refs/heads/main', {}],
    ['https://agent.buildkite.com', 'organization:acme:pipeline:*:ref:refs/heads/main', {}],
    ['https://oidc.vercel.com', 'owner:acme:project:*:environment:production', {}],
    [CIRCLE, `org/${DIRECTORY}/project/*/user/*`, {}],
    // What every stranger can have as well.
    [GITHUB, 'environment:production', {}],
    [GITHUB, 'job_workflow_ref:acme/flows/.github/workflows/ci.yml@refs/heads/main', {}],
    [GITHUB, null, { ref: ['refs/heads/main'], environment: ['production'] }],
    [GITHUB, null, { job_workflow_ref: ['acme/flows/.github/workflows/ci.yml@refs/heads/main'] }],
    [GOOGLE, null, { email_verified: ['true'] }],
    ['https://agent.buildkite.com', null, { organization_slug: ['acme'] }],
    ['https://oidc.vercel.com', null, { owner_id: ['team_1'] }],
    ['https://gitlab.com', null, { ref: ['main'], environment: ['production'] }],
  ])('of %s, %s, %j', (...one) => {
    const { subject, ...others } = problems(one);
    expect(others).toEqual({});
    expect(subject).toMatch(/^tells no stranger's workload apart: .+; give .+/);
  });

  it.each<Case>([
    ['https://login.microsoftonline.com/common/v2.0', null, { oid: [DIRECTORY] }],
    ['https://login.microsoftonline.com/organizations/v2.0', null, { oid: [DIRECTORY] }],
    ['https://login.microsoftonline.com', null, { oid: [DIRECTORY] }],
    [`https://login.microsoftonline.com/${CONSUMERS}/v2.0`, null, { oid: [DIRECTORY] }],
    [`https://sts.windows.net/${CONSUMERS}/`, null, { oid: [DIRECTORY] }],
    [`${GITHUB}/a/b`, 'repo:acme/shop:pull_request', {}],
    ['https://accounts.google.com/', '113774264463038321964', {}],
    ['https://gitlab.com/acme', 'project_path:acme/shop:ref_type:branch:ref:main', {}],
  ])('and so is the issuer %s, whose tokens are everybody’s or nobody’s', (...one) => {
    expect(Object.keys(problems(one))).toEqual(['issuer']);
  });

  it('and no other provider’s name gets around it', () => {
    for (const provider of ['custom', 'gitlab', 'aws'] as const)
      expect(problems([GITHUB, 'environment:production', { ref: ['x'] }], provider)).toEqual({
        provider: 'must be github_actions for this issuer',
      });
  });

  it('a GitLab of one’s own is bound by projects as well', () => {
    const own = 'https://git.example.net';
    expect(problems([own, 'project_path:acme/shop:ref_type:branch:ref:main', {}], 'gitlab')).toEqual({});
    expect(Object.keys(problems([own, null, { ref: ['main'] }], 'gitlab'))).toEqual(['subject']);
  });
});
