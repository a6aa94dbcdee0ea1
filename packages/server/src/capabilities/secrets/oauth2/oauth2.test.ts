import { oauth2Suite } from './oauth2.contract.js';

oauth2Suite();
