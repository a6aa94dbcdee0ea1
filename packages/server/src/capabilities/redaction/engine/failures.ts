/** A body that a rule covers cannot be inspected: it must not leave (dataplane §7, "Fail closed"). Names no content. */
export class RedactionFailure extends Error {
  override readonly name = 'RedactionFailure';
}

/** Not JSON by RFC 8259, from this character on. */
export class MalformedJson extends Error {
  override readonly name = 'MalformedJson';
  constructor(position: number) {
    super(`malformed JSON at byte ${position}`);
  }
}
