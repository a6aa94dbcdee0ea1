export { DpopError } from './errors.js';
export { dpopJobs } from './jobs.js';
export type { ProofRequest, VerifiedProof } from './proof.js';
export { createDpop, type Dpop } from './service.js';
export { migrations } from './tables.js';
