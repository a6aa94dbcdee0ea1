import type { Actor, CapabilityCaller } from '../../kernel/principal.js';
import type { PendingRecord } from '../../platform/http/idempotency.js';
import type { Insertion } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { useEntry } from './audit.js';
import type { ClientTokenStore } from './store.js';

export interface ConsumptionDeps {
  readonly store: Pick<ClientTokenStore, 'useInsertion'>;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
}

/**
 * Stands where the record of a repeated call would: the service that carries the act out puts it into the commit of the
 * act, so that token and act are used up and done together or not at all.
 */
export class Consumption implements PendingRecord {
  readonly intentId = null;
  readonly #deps: ConsumptionDeps;
  readonly #caller: CapabilityCaller;
  readonly #actor: Actor;
  readonly #nowMs: number;
  #isUsed = false;

  constructor(deps: ConsumptionDeps, caller: CapabilityCaller, actor: Actor, nowMs: number) {
    this.#deps = deps;
    this.#caller = caller;
    this.#actor = actor;
    this.#nowMs = nowMs;
  }

  /** It is part of a commit that was asked for. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  insertions(): readonly Insertion[] {
    const { principal, capability, origin } = this.#caller;
    this.#isUsed = true;
    return [
      this.#deps.store.useInsertion(principal.scope, capability.id, this.#nowMs),
      this.#deps.auditLogs.insertion(this.#actor, useEntry(capability, origin)),
    ];
  }

  /** However large the answer is: it is not what is kept. */
  insertionsIfSmall(): readonly Insertion[] {
    return this.insertions();
  }

  /** What a token allows is done by group commits. */
  record(): never {
    throw new Error('no act of a client token is a transaction of its own');
  }

  setIntent(): never {
    throw new Error('no act of a client token begins anything outside');
  }
}
