import type { Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import { type CallTemplate, referenceOf, type TokenReference } from '../../templating/index.js';

/** The part of the vaults that a pipeline uses. */
export interface TokenSource {
  vaultNames(scope: Caller['principal']['scope']): Promise<ReadonlySet<string>>;
  /** Same order as given; every audit row is durable before it resolves. */
  detokenizeForProxy(caller: Caller, references: readonly TokenReference[]): Promise<Secret<string>[]>;
}

/** Permission per vault, one audit row an occurrence, all or nothing (dataplane §1.3 step 5). */
export async function detokenize(
  vaults: TokenSource,
  caller: Caller,
  template: CallTemplate,
): Promise<readonly Secret<string>[]> {
  if (template.operands.length === 0) return [];
  const names = await vaults.vaultNames(caller.principal.scope);
  return vaults.detokenizeForProxy(
    caller,
    template.operands.map((operand) => referenceOf(operand, names)),
  );
}
