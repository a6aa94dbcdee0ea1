import type { Claims } from '../store.js';
import { isOpenToAll, PROFILES, type Provider, type ProviderProfile, providerOf } from './profiles.js';

export interface Narrowed {
  readonly provider: Provider;
  readonly issuer: string;
  readonly subject: string | null;
  readonly claims: Claims;
}

/** What is wrong with a binding, by the field that is to be changed; empty where it takes in no stranger's workload. */
export function narrowingProblems({ provider, issuer, subject, claims }: Narrowed): Map<string, string> {
  const owner = providerOf(issuer);
  if (owner !== 'custom' && owner !== provider)
    return new Map([['provider', `must be ${owner} for this issuer`]]);
  const profile = PROFILES[provider];
  if (!profile.issuers.test(issuer)) return new Map([['issuer', `must be ${profile.issuerForm}`]]);
  const claimSets = isOpenToAll(issuer) ? [] : profile.claims;
  if (tellsByClaims(claimSets, claims) || tellsBySubject(profile, subject)) return new Map();
  const ways = [...claimWays(claimSets), `a subject such as ${profile.subjectForm}`];
  return new Map([
    ['subject', `tells no stranger's workload apart: ${profile.reason}; give ${ways.join(', or ')}`],
  ]);
}

function tellsByClaims(sets: ProviderProfile['claims'], claims: Claims): boolean {
  if (sets === 'any') return Object.keys(claims).length > 0;
  return sets.some((set) => set.every((name) => Object.hasOwn(claims, name)));
}

function tellsBySubject({ subjects }: ProviderProfile, subject: string | null): boolean {
  return subject !== null && subjects.some((form) => form.test(subject));
}

function claimWays(sets: ProviderProfile['claims']): string[] {
  return sets === 'any' ? ['a claim'] : sets.map((set) => `the claim ${set.join(' with ')}`);
}
