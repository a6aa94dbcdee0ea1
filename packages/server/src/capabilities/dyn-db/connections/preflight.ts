import type { Clock } from '../../../kernel/clock.js';
import { AppError } from '../../../kernel/errors.js';
import { boundedWarnings, grantMissing } from '../errors.js';
import { shownError } from '../leases/ending.js';
import type { EngineSession, SslMode } from '../providers/engine.js';
import type { Transports } from '../transports/transport.js';
import { type Databases, type Engines, type OpenDatabase, portOf, type Reachable } from './databases.js';
import { connectTimeoutMsOf, sslModeOf } from './options.js';

export const PREFLIGHT_STEPS = [
  'resolve',
  'connect',
  'tls',
  'log_in',
  'may_create_users',
  'mint_probe',
  'drop_probe',
] as const;
type StepName = (typeof PREFLIGHT_STEPS)[number];

export interface PreflightStep {
  readonly step: StepName;
  readonly ok: boolean;
  readonly ms: number;
  readonly error?: string;
  /** What an operator would run. */
  readonly hint?: string;
  /** Of the probes. */
  readonly role?: string;
}

export interface Preflight {
  readonly ok: boolean;
  readonly latencyMs: number;
  readonly serverVersion: string | null;
  readonly steps: readonly PreflightStep[];
  readonly error: string | null;
  readonly warnings: readonly string[];
}

/** A probe of one role: a user is made and dropped as a mint and its end would. */
export interface Probe {
  readonly role: string;
  mint(session: EngineSession): Promise<void>;
  drop(session: EngineSession): Promise<void>;
}

export interface PreflightDeps {
  readonly clock: Clock;
  readonly engines: Engines;
  readonly transports: Pick<Transports, 'create'>;
  readonly databases: Pick<Databases, 'within'>;
}

/** The answer, and the error of the first step that failed. */
export interface PreflightOutcome {
  readonly preflight: Preflight;
  readonly failure: unknown;
}

class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** Goes the way of a mint step by step and says where it ends (dyn-db.md §2.7). */
export function createPreflight({ clock, engines, transports, databases }: PreflightDeps) {
  return async function preflight(
    reachable: Reachable,
    open: () => Promise<OpenDatabase>,
    probes: readonly Probe[],
  ): Promise<PreflightOutcome> {
    const steps: PreflightStep[] = [];
    const startedMs = clock.monotonicMs();
    let failure: unknown = null;
    let serverVersion: string | null = null;
    let warnings: readonly string[] = [];

    async function step<T>(name: StepName, act: () => Promise<T>, role?: string): Promise<T> {
      const stepStartedMs = clock.monotonicMs();
      const ms = () => Math.round(clock.monotonicMs() - stepStartedMs);
      const of = role === undefined ? {} : { role };
      try {
        const result = await act();
        steps.push({ step: name, ok: true, ms: ms(), ...of });
        return result;
      } catch (error) {
        failure ??= error;
        const hint = error instanceof AppError ? error.extra?.['hint'] : undefined;
        const shown = { error: shownError(error), ...(typeof hint === 'string' && { hint }) };
        steps.push({ step: failedStep(name, error), ok: false, ms: ms(), ...shown, ...of });
        throw new Stopped();
      }
    }

    async function walk(): Promise<void> {
      const transport = transports.create(connectTimeoutMsOf(reachable.connectOptions));
      const address = { host: reachable.host, port: portOf(reachable, engines[reachable.engine]) };
      const { signal } = new AbortController();
      try {
        await step('resolve', () => transport.resolve(address, signal));
        await step('connect', async () => (await transport.open(address, signal)).destroy());
      } finally {
        await transport.close();
      }
      const opened = await step('log_in', open);
      if (requiresTls(sslModeOf(reachable.connectOptions)))
        steps.splice(-1, 0, { step: 'tls', ok: true, ms: 0 });
      try {
        await databases.within(reachable, () => inside(opened.session));
      } finally {
        await opened.close();
      }
    }

    async function inside(session: EngineSession): Promise<void> {
      serverVersion = session.serverVersion;
      await step('may_create_users', async () => {
        const missing = await session.missingGrant();
        if (missing) throw grantMissing(missing.problem, missing.hint);
      });
      for (const probe of probes) {
        try {
          await step('mint_probe', () => probe.mint(session), probe.role);
        } finally {
          // Of a mint that failed half-way there may be a user too.
          await step('drop_probe', () => probe.drop(session), probe.role);
        }
      }
      warnings = boundedWarnings(await session.warnings());
    }

    try {
      await walk();
    } catch (error) {
      if (!(error instanceof Stopped)) failure ??= error;
    }
    const preflight = {
      ok: failure === null,
      latencyMs: Math.round(clock.monotonicMs() - startedMs),
      serverVersion,
      steps,
      error: failure === null ? null : shownError(failure),
      warnings,
    };
    return { preflight, failure };
  };
}

/** A log-in is refused before it when TLS cannot be had. */
function failedStep(name: StepName, error: unknown): StepName {
  return name === 'log_in' && error instanceof AppError && error.reason === 'tls' ? 'tls' : name;
}

/** Under `prefer` a log-in that went well says nothing of it. */
function requiresTls(sslMode: SslMode): boolean {
  return sslMode !== 'disable' && sslMode !== 'prefer';
}
