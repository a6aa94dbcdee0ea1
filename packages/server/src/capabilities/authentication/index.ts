export { type Authentication, type AuthenticationDeps, createAuthentication } from './service.js';
