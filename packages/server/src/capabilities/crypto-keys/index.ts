export { envelopeColumns } from './envelope-columns.js';
export {
  createPortableCipher,
  type PortableCipher,
} from './portable.js';
export type { PortableDocuments } from './portable-documents.js';
export {
  openPortable,
  PORTABLE_PREFIX,
  type Portable,
  parsePortable,
  sealPortable,
} from './portable-format.js';
export { portableRoutes } from './portable-routes.js';
export { decryptBody, decryptedResponse, decryptedWire } from './portable-schemas.js';
export { type CryptoKeyRecords, createCryptoKeyRecords } from './records.js';
export { cryptoKeyRoutes } from './routes.js';
export {
  type CryptoKeys,
  type CryptoKeysDeps,
  createCryptoKeys,
  type PreparedCryptoKey,
} from './service.js';
export { signingRoutes } from './signing/routes.js';
export { createSignatures, type Signatures } from './signing/service.js';
export {
  SIGNATURE_HEADERS,
  SLACK_TIMESTAMP,
  WEBHOOK_FORMATS,
  type WebhookFormat,
  webhookSignature,
} from './signing/webhook-formats.js';
export { createWebhookSigner, type WebhookSigner } from './signing/webhook-signer.js';
export type { ActiveKey, CryptoKey } from './store.js';
export { cryptoKeyTables, type KeyType, migrations } from './tables.js';
export { createTransit, type Transit } from './transit.js';
