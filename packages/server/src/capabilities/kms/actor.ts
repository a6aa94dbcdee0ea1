import { type Actor, actorOf, type Caller } from '../../kernel/principal.js';

/** Master keys are of both modes, so what happens to them is no act of the sandbox, whichever mode the caller names. */
export function actorOnKeys(caller: Caller): Actor {
  const { scope, ...actor } = actorOf(caller);
  return { ...actor, scope: { ...scope, sandbox: false } };
}
