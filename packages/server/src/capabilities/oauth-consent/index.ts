export { PageError } from './errors.js';
export { type Browser, type Browsers, createBrowsers } from './pages/browser.js';
export { type FormContext, hidden } from './pages/form.js';
export { Html, html, page, STYLE_SOURCE } from './pages/html.js';
export { dueFactor, readSecondFactor, secondFactorForm } from './pages/second-factor.js';
export type { ConsentPages, PageAnswer, PageRequest } from './pages/service.js';
export { donePage, usernameField } from './pages/views.js';
export { createOAuthConsent, type OAuthConsent, type OAuthConsentDeps } from './service.js';
export { migrations } from './tables.js';
