export { decisionOfUser } from './permissions.js';
export { type Authentication, type AuthenticationDeps, createAuthentication } from './service.js';
export { createUserAuthentication } from './users.js';
