/** Formats numbers for people. No DOM. */

/**
 * Formats a number of bytes: "812 B", "1.4 kB", "37 MB".
 * @param {number} bytes
 * @returns {string}
 */
export function bytes(bytes) {
  return scaled(bytes, ['B', 'kB', 'MB', 'GB', 'TB']);
}

/**
 * Formats a bit rate: "0 bit/s", "640 kbit/s", "2.1 Mbit/s".
 * @param {number} bitsPerSecond
 * @returns {string}
 */
export function bitrate(bitsPerSecond) {
  return scaled(bitsPerSecond, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s']);
}

/**
 * @param {number} value
 * @param {string[]} units each 1,000 times the one before
 * @returns {string}
 */
function scaled(value, units) {
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/**
 * Formats a duration: "0:07", "12:05", "1:02:03".
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const head = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes);
  return `${head}:${two(whole % 60)}`;
}

/**
 * Formats a count with its noun: "1 candidate", "3 candidates".
 * @param {number} count
 * @param {string} noun
 * @returns {string}
 */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/**
 * Joins words to a list: "UDP", "UDP and TCP", "UDP, TCP and TLS".
 * @param {string[]} words
 * @returns {string}
 */
export function listed(words) {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words[words.length - 1]}`;
}
