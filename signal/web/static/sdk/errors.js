/** The errors of the SDK: each has a code for programs and a sentence for people. */

export class IceboxError extends Error {
  /**
   * @param {string} code an error code of the protocol (signal/protocol/native/doc.go), one of unreachable, not-allowed, too-many,
   *   lost, closed and ended, or media- with the name of the browser's error
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'IceboxError';
    this.code = code;
  }
}

/**
 * Converts an error message of the server.
 * @param {{code?: string, message?: string}} refusal
 * @returns {IceboxError}
 */
export function refusalError({ code = 'unavailable', message = '' }) {
  return new IceboxError(code, sentence(message || 'the server refused this'));
}

/**
 * Makes a sentence of a server's text: the first letter is a capital, and there is a full stop at the end.
 * @param {string} text
 * @returns {string}
 */
export function sentence(text) {
  const [first = '', ...rest] = Array.from(text);
  return first.toUpperCase() + rest.join('') + (/[.!?]$/.test(text) ? '' : '.');
}

/**
 * Converts anything that was thrown to an error with a code.
 * @param {unknown} thrown
 * @param {string} code the code for an error that has none
 * @returns {IceboxError}
 */
export function asError(thrown, code) {
  if (thrown instanceof IceboxError) return thrown;
  return new IceboxError(code, thrown instanceof Error ? thrown.message : String(thrown));
}
