export {
  createInvitationPage,
  type InvitationPage,
} from './invitation-page.js';
export {
  createMagicLinkPage,
  type MagicLinkPage,
  type MagicLinkPageRequest,
} from './magic-link-page.js';
