export {
  createInvitationPage,
  type InvitationPage,
  type InvitationPageRequest,
} from './invitation-page.js';
