export { signupJobs } from './jobs.js';
export { CONFIRM_PATH } from './mails.js';
export { createSignupPages, type SignupPages } from './pages.js';
export { signupRoutes } from './routes.js';
export { createSignups, type Signups } from './service.js';
export { plainOrigin } from './starter.js';
export { migrations } from './tables.js';
