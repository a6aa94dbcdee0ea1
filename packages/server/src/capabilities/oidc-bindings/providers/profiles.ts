/** Where workloads get their identity tokens (auth.md §4). */
export const PROVIDERS = [
  'github_actions',
  'gcp',
  'aws',
  'azure',
  'vercel',
  'circleci',
  'buildkite',
  'gitlab',
  'custom',
] as const;
export type Provider = (typeof PROVIDERS)[number];

export interface ProviderProfile {
  /** Issuers that are this provider's and nobody else's, also those that it must not be bound by. */
  readonly recognises: RegExp;
  /** Issuers that a binding may name. */
  readonly issuers: RegExp;
  readonly issuerForm: string;
  /** Sets of claims: one set, given exactly, tells whose workload it is. `any` = every claim may. */
  readonly claims: readonly (readonly string[])[] | 'any';
  /** Subjects, as a binding has them, whose text without a star tells it too. */
  readonly subjects: readonly RegExp[];
  readonly subjectForm: string;
  /** Why the issuer alone, or what else was given, tells nothing. */
  readonly reason: string;
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
/** The directory of personal accounts: everybody's. */
const CONSUMERS = '9188040d-6c67-4c5b-b112-36a304b66dad';
const ANY_HTTPS = /^https:/;
const NONE = /^(?!)/;

/** A stretch of a subject between `:` and `/`, given to the letter. */
const LITERAL = '[^*:/]+';

/** The one table of providers: a new one is a row here and a name above. */
export const PROFILES: Readonly<Record<Provider, ProviderProfile>> = {
  github_actions: {
    recognises: /^https:\/\/token\.actions\.githubusercontent\.com(?:\/|$)/,
    issuers: /^https:\/\/token\.actions\.githubusercontent\.com(?:\/[\w-]+)?$/,
    issuerForm: 'https://token.actions.githubusercontent.com, or the same and /<enterprise>',
    claims: [['repository'], ['repository_id'], ['repository_owner_id']],
    // Other subjects, `environment:production` for one, can be had in a repository of anybody's.
    subjects: [
      new RegExp(`^repo(?:sitory)?:${LITERAL}/`),
      new RegExp(`^(?:repository_owner|repository_owner_id|repository_id):${LITERAL}(?::|$)`),
    ],
    subjectForm: 'repo:<owner>/<repository>:ref:refs/heads/main',
    reason: 'workflows of every GitHub repository have this issuer',
  },
  gcp: {
    recognises: /^https:\/\/accounts\.google\.com(?:\/|$)/,
    issuers: /^https:\/\/accounts\.google\.com$/,
    issuerForm: 'https://accounts.google.com',
    claims: [['email']],
    subjects: [/^[^*]+$/],
    subjectForm: 'the unique id of the service account, without a star',
    reason: 'every Google account has this issuer',
  },
  aws: {
    recognises:
      /^https:\/\/(?:sts\.amazonaws\.com|oidc\.eks[\w.-]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws)|[\w-]+\.tokens\.sts\.global\.api\.aws)(?:\/|$)/,
    issuers:
      /^https:\/\/(?:sts\.amazonaws\.com|oidc\.eks(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)\/id\/\w+|[\w-]+\.tokens\.sts\.global\.api\.aws)$/,
    issuerForm: 'that of the cluster, https://oidc.eks.<region>.amazonaws.com/id/<id>',
    claims: [],
    subjects: [new RegExp(`^system:serviceaccount:${LITERAL}:`), /^arn:aws[a-z-]*:(?:iam|sts)::\d{12}:/],
    subjectForm: 'system:serviceaccount:<namespace>:<name>',
    reason: 'every workload of the cluster or the account has this issuer',
  },
  azure: {
    recognises:
      /^https:\/\/(?:login\.microsoftonline\.(?:com|us)|login\.partner\.microsoftonline\.cn|sts\.windows\.net)(?:\/|$)/,
    issuers: new RegExp(
      `^https://(?:(?:login\\.microsoftonline\\.(?:com|us)|login\\.partner\\.microsoftonline\\.cn)/(?!${CONSUMERS})${UUID}/v2\\.0|sts\\.windows\\.net/(?!${CONSUMERS})${UUID}/)$`,
    ),
    issuerForm:
      'that of one directory, https://login.microsoftonline.com/<directory id>/v2.0 or https://sts.windows.net/<directory id>/; common, organizations and consumers stand for everybody',
    claims: [['oid'], ['tid']],
    subjects: [/^[^*]+$/],
    subjectForm: 'the subject without a star',
    reason: 'every application and user of the directory has this issuer',
  },
  vercel: {
    recognises: /^https:\/\/oidc\.vercel\.com(?:\/|$)/,
    issuers: /^https:\/\/oidc\.vercel\.com(?:\/[\w-]+)?$/,
    issuerForm: 'https://oidc.vercel.com, or the same and /<team>',
    claims: [['owner_id', 'project_id']],
    subjects: [new RegExp(`^owner:${LITERAL}:project:${LITERAL}:`)],
    subjectForm: 'owner:<team>:project:<project>:environment:production',
    reason: 'every project, of whatever team, has this issuer',
  },
  circleci: {
    recognises: /^https:\/\/oidc\.circleci\.com(?:\/|$)/,
    issuers: new RegExp(`^https://oidc\\.circleci\\.com(?:/org/${UUID})?$`),
    issuerForm: 'https://oidc.circleci.com/org/<organization id>',
    claims: [['oidc.circleci.com/project-id']],
    subjects: [new RegExp(`^org/${LITERAL}/project/${LITERAL}/`)],
    subjectForm: 'org/<organization id>/project/<project id>/user/*',
    reason: 'every project has this issuer',
  },
  buildkite: {
    recognises: /^https:\/\/agent\.buildkite\.com(?:\/|$)/,
    issuers: /^https:\/\/agent\.buildkite\.com$/,
    issuerForm: 'https://agent.buildkite.com',
    claims: [['organization_slug', 'pipeline_slug']],
    subjects: [new RegExp(`^organization:${LITERAL}:pipeline:${LITERAL}:`)],
    subjectForm: 'organization:<organization>:pipeline:<pipeline>:ref:refs/heads/main:commit:*:step:*',
    reason: 'pipelines of every organization have this issuer',
  },
  gitlab: {
    recognises: /^https:\/\/gitlab\.com(?:\/|$)/,
    issuers: /^https:\/\/(?!gitlab\.com\/)/,
    issuerForm: 'https://gitlab.com, or the address of an instance of your own',
    claims: [['project_id'], ['project_path'], ['namespace_id'], ['namespace_path']],
    subjects: [new RegExp(`^project_path:${LITERAL}/`)],
    subjectForm: 'project_path:<group>/<project>:ref_type:branch:ref:main',
    reason: 'jobs of every project of the instance have this issuer',
  },
  custom: {
    recognises: NONE,
    issuers: ANY_HTTPS,
    issuerForm: 'an https: URL',
    claims: 'any',
    // Most subjects begin with a kind and its owner: behind these two a star takes in no stranger.
    subjects: [/^[^*]+$/, new RegExp(`^${LITERAL}[:/]${LITERAL}[:/]`)],
    subjectForm: 'text without a star, or with one behind the second segment, as in kind:owner:*',
    reason: 'every workload of the issuer would match',
  },
};

/**
 * Issuers without a profile that sign for whoever comes: their claims tell no owner that is known here, a subject by its
 * first two segments does.
 */
const OPEN_TO_ALL =
  /^https:\/\/(?:app\.terraform\.io|oidc\.codefresh\.io|identity\.depot\.dev|cognito-identity\.amazonaws\.com|appleid\.apple\.com|oauth2\.sigstore\.dev|(?:www|limited)\.facebook\.com)(?:\/|$)/;

export function isOpenToAll(issuer: string): boolean {
  return OPEN_TO_ALL.test(issuer);
}

/** The provider whose issuer that is; `custom` for all that no other knows as its own. */
export function providerOf(issuer: string): Provider {
  return PROVIDERS.find((name) => PROFILES[name].recognises.test(issuer)) ?? 'custom';
}
