/** Why a certificate signing request is not taken, in words for whoever sent it. */
export class CsrRefused extends Error {
  override readonly name = 'CsrRefused';
  constructor(readonly reason: string) {
    super(reason);
  }
}
