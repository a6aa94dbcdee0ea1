import type { Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import { type CallTemplate, referenceOf } from '../../templating/index.js';
import type { Vaults } from '../../vaults/index.js';

export type TokenSource = Pick<Vaults, 'vaultNames' | 'detokenizeForProxy'>;

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
