import { forEachDatabase } from '../../testing/databases.js';
import { inboundWebhookStoreContract } from './store.contract.js';

forEachDatabase((_name, open) => inboundWebhookStoreContract(open));
