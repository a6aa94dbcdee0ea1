export { type BodyKind, bodyKind } from './body-kind.js';
export { referenceOf } from './reference.js';
export { type CallParts, type CallTemplate, parseCall } from './template.js';
