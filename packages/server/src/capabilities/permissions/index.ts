export { type Decision, firstBeyond, narrowDecision } from './decision.js';
export { KEY_PERMISSIONS, NARROWABLE, USER_PERMISSIONS } from './names.js';
export { roleRoutes } from './routes.js';
export { SEEDED_ROLES, seededKeyRole } from './seeded-roles.js';
export {
  createPermissions,
  decisionOf,
  decisionOfUser,
  type KeyAccess,
  type Permissions,
} from './service.js';
export { migrations } from './tables.js';
