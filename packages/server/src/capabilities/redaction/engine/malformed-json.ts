/** Not JSON by RFC 8259, from this character on. */
export class MalformedJson extends Error {
  override readonly name = 'MalformedJson';
  constructor(position: number) {
    super(`malformed JSON at byte ${position}`);
  }
}
