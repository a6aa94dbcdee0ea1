export { type Authentication, type AuthenticationDeps, createAuthentication } from './service.js';
export { createUserAuthentication } from './users.js';
