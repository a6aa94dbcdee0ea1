export { createMakers, type Maker, type Makers, makerOf } from './makers.js';
export { type Authentication, type AuthenticationDeps, createAuthentication } from './service.js';
export { createUserAuthentication } from './users.js';
