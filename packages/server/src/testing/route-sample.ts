import type { World } from './matrix-rig.js';

export type Body = Readonly<Record<string, unknown>>;

export interface RouteSample {
  /** What the call changes would be in the way of others of that user: its world is one of a new user. */
  readonly ofNewUser?: true;
  /** The path with the names of rows of that world, made for this call alone. Due where the definition has `:names`. */
  path?(world: World): Promise<string>;
  /** In its place where bodies are of rows of several kinds. */
  pathFor?(world: World, body: Body): Promise<string>;
  /** What there has to be before, where neither path nor bodies make it. */
  prepare?(world: World): Promise<unknown>;
  /** Bodies that are taken, the first of them in both modes, and that have every member of the schema between them. */
  bodies?(world: World): Promise<readonly Body[]> | readonly Body[];
  /** Of a call that its own token lets in: what is sent beside such a body. */
  headers?(world: World, body: Body): Promise<Readonly<Record<string, string>>>;
  /** The status where this version refuses the call, whatever it says. */
  readonly refused?: 400;
  /** Further bodies, which are taken from the operator alone. */
  readonly operatorBodies?: readonly Body[];
}

export interface Kind {
  /** Makes a row of that name, of which each mode may have its own. */
  make(world: World, name: string): Promise<{ readonly list: string; readonly id: string }>;
}

export const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
/** A path whose names no row has; a number in it is one that could be. */
export const unknownPath = (path: string) =>
  path.replace(/:(n|version)(?=\/|$)/, '99').replace(/:[^/]+/g, UNKNOWN);

let made = 0;
/** A name that no other row has. */
export const freshName = () => `n${++made}`;
