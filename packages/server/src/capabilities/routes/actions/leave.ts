import { isAppError, permissionMissing, validationError } from '../../../kernel/errors.js';
import type { Caller } from '../../../kernel/principal.js';
import type { CryptoKeyRecords } from '../../crypto-keys/index.js';
import type { Vaults } from '../../vaults/index.js';
import type { ActionKind, FieldAction } from '../types.js';

/** Whoever may call a route gets what its actions do: nobody hands on by it what is not theirs. */
export interface ActionLeave {
  /** 403 where the caller may not do itself what the action does; 400 of a key or vault that is not there. */
  require(caller: Caller, action: ActionTerms): Promise<void>;
  /** The same 403 of actions that a route has; a key or vault that is gone by now may be made again. */
  requireStill(caller: Caller, actions: readonly ActionTerms[]): Promise<void>;
}

export type ActionTerms = Pick<FieldAction, 'action' | 'keyName'>;

export interface ActionLeaveDeps {
  readonly cryptoKeys: Pick<CryptoKeyRecords, 'get'>;
  readonly vaults: Pick<Vaults, 'get'>;
}

const PERMISSIONS: Readonly<Record<ActionKind, string>> = {
  encrypt: 'crypto:encrypt',
  decrypt: 'crypto:decrypt',
  tokenize: 'vaults:tokenize',
  detokenize: 'vaults:detokenize',
};

export function createActionLeave({ cryptoKeys, vaults }: ActionLeaveDeps): ActionLeave {
  async function requireMay(caller: Caller, { action, keyName }: ActionTerms): Promise<void> {
    const permission = PERMISSIONS[action];
    const { principal } = caller;
    if (action === 'encrypt' || action === 'decrypt') {
      if (!principal.may(permission)) throw permissionMissing(permission);
      if (keyName !== null) await known(() => cryptoKeys.get(caller, keyName), 'names no crypto key');
      return;
    }
    const vault = await known(() => vaults.get(caller, keyName ?? ''), 'names no vault');
    if (!principal.may(permission, vault.name)) throw permissionMissing(permission);
  }

  return {
    require: requireMay,

    async requireStill(caller, actions) {
      const distinct = new Map(actions.map((one) => [`${one.action} ${one.keyName}`, one]));
      for (const one of distinct.values()) {
        try {
          await requireMay(caller, one);
        } catch (error) {
          if (!isAppError(error, 'validation_error')) throw error;
          const permission = PERMISSIONS[one.action];
          const name = one.keyName ?? undefined;
          if (!caller.principal.may(permission, name)) throw permissionMissing(permission);
        }
      }
    },
  };
}

async function known<T>(find: () => Promise<T>, otherwise: string): Promise<T> {
  try {
    return await find();
  } catch (error) {
    if (isAppError(error, 'not_found')) throw validationError('key_name', `${otherwise} of this mode`);
    throw error;
  }
}
