export { type BodyKind, bodyKind } from './body-kind.js';
export { type EncryptedDocument, maskedDocument, parseEncryptedHeader } from './encrypted.js';
export { referenceOf } from './reference.js';
export { type CallParts, type CallTemplate, type PortableValues, parseCall } from './template.js';
