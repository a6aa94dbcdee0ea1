export { migrations } from './tables.js';
export type {
  CallableRoute,
  FieldAction,
  JsonObject,
  RouteEnvironment,
  RouteRateLimit,
  RouteSettings,
  RouteTable,
} from './types.js';
