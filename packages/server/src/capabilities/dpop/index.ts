export { DpopError } from './errors.js';
export { dpopJobs } from './jobs.js';
export type { ProofRequest, VerifiedProof } from './proof.js';
export { createReplays, type Replays } from './replays.js';
export { createDpop, type Dpop } from './service.js';
export { createProofStore } from './store.js';
export { migrations } from './tables.js';
