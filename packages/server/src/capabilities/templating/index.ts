export { type BodyKind, bodyKind } from './body-kind.js';
export { referenceOf, type TokenReference } from './reference.js';
export { type CallParts, type CallTemplate, parseCall } from './template.js';
