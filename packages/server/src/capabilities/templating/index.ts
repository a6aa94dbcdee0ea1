export { type BodyKind, bodyKind } from './body-kind.js';
export { type EncryptedDocument, maskedDocument, parseEncryptedHeader } from './encrypted.js';
export { createExpressionWatch } from './expression-watch.js';
export { createInjection, type Injection } from './injection.js';
export { referenceOf } from './reference.js';
export {
  type CallParts,
  type CallTemplate,
  type PortableValues,
  parseCall,
  parseRouteBody,
} from './template.js';
