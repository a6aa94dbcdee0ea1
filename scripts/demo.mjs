// The main job from end to end, on this machine alone: `npm run demo`.
import { buildServer, installEverything } from './install.mjs';
import { endWith, requireNode } from './terminal.mjs';

requireNode();
try {
  await installEverything();
  await buildServer();
} catch (error) {
  endWith(error);
}
// The upstream, the name server and the certificate authority are those of the tests, in TypeScript.
const { register } = await import('tsx/esm/api');
register();
const { tellStory } = await import('./demo-story.mjs');
await tellStory();
