export interface OcspReply {
  readonly der: Buffer;
  /** The same answer is good for whoever asks the same. */
  readonly isCacheable: boolean;
}
