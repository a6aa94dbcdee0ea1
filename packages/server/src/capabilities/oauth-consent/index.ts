export { type Html, html, page, STYLE_SOURCE } from './pages/html.js';
export type { ConsentPages, PageAnswer, PageRequest } from './pages/service.js';
export { donePage } from './pages/views.js';
export { createOAuthConsent, type OAuthConsent, type OAuthConsentDeps } from './service.js';
export { migrations } from './tables.js';
