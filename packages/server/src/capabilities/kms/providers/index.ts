import type { WrapMethod } from '../tables.js';
import { createLocalProvider, type LocalProviderConfig } from './local.js';
import type { KmsProvider } from './types.js';

export type ProviderConfig = LocalProviderConfig;

/** A wrap method without a provider does not compile. */
export const providers: Record<WrapMethod, (config: ProviderConfig) => KmsProvider> = {
  global: createLocalProvider,
};
