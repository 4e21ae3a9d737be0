/** What can go wrong, with a code for programs and a sentence for people. */

export class IceboxError extends Error {
  /**
   * @param {string} code one of the protocol's, or unreachable, blocked, timeout, lost, closed, media, ended
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'IceboxError';
    this.code = code;
  }
}

/**
 * A refusal by the server as an error.
 * @param {{code?: string, message?: string}} refusal
 * @returns {IceboxError}
 */
export function refused({ code = 'unavailable', message = '' }) {
  return new IceboxError(code, sentence(message || 'the server refused this'));
}

/**
 * A server's words as a sentence.
 * @param {string} text
 * @returns {string}
 */
export function sentence(text) {
  const [first = '', ...rest] = Array.from(text);
  return first.toUpperCase() + rest.join('') + (/[.!?]$/.test(text) ? '' : '.');
}

/**
 * Whatever was thrown, as an error with a code.
 * @param {unknown} thrown
 * @param {string} code if it has none
 * @returns {IceboxError}
 */
export function asError(thrown, code) {
  if (thrown instanceof IceboxError) return thrown;
  return new IceboxError(code, thrown instanceof Error ? thrown.message : String(thrown));
}
