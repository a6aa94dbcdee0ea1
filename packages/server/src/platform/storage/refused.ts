/** An act on a whole database that the operator must put right: shown as it is, without a stack. */
export class StorageRefused extends Error {
  override readonly name = 'StorageRefused';
}
