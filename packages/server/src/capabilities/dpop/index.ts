export { DpopError } from './errors.js';
export { createDpop, type Dpop, type ProofRequest, type VerifiedProof } from './service.js';
