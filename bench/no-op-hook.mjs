// `--import` of a server that also answers `/v1/no-op/encrypt` and `/v1/no-op/decrypt`.
import { register } from 'node:module';

register('./no-op-resolve.mjs', import.meta.url);
