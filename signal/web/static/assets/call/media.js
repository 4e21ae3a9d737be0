/** Camera and microphone, and why one can't have them, in words. */

/**
 * @typedef {object} Wish
 * @property {boolean} audio
 * @property {boolean} video
 */

/** A device can't be had; the message says what to do. */
export class MediaError extends Error {}

/**
 * Opens what is wished for. A kind of device that the machine lacks is left out;
 * one that is refused or busy is an error.
 * @param {Wish} wish
 * @param {Pick<MediaDevices, 'getUserMedia'> | undefined} devices undefined in an insecure page
 * @returns {Promise<MediaStream>}
 */
export async function openMedia(wish, devices) {
  if (!wish.audio && !wish.video) return new MediaStream();
  if (!devices) throw new MediaError(mediaWords('insecure', wish));
  for (const smaller of fallbacks(wish)) {
    try {
      return await devices.getUserMedia(smaller);
    } catch (failure) {
      const name = failure instanceof Error ? failure.name : '';
      if (!lacksDevice(name)) throw new MediaError(mediaWords(name, wish));
    }
  }
  return new MediaStream();
}

/**
 * What to ask for, from most to least.
 * @param {Wish} wish
 * @returns {MediaStreamConstraints[]}
 */
function fallbacks(wish) {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 } };
  if (!wish.video) return [{ audio: true }];
  if (!wish.audio) return [{ video }];
  return [{ audio: true, video }, { audio: true }, { video }];
}

/** @param {string} name a DOMException's name */
function lacksDevice(name) {
  return name === 'NotFoundError' || name === 'OverconstrainedError';
}

/**
 * Why the devices can't be had and what to do.
 * @param {string} name a DOMException's name, or "insecure"
 * @param {Wish} wish
 * @returns {string}
 */
export function mediaWords(name, wish) {
  const what = !wish.video ? 'the microphone' : !wish.audio ? 'the camera' : 'the camera and the microphone';
  const without = 'Or switch them off under “Options” to join without them.';
  switch (name) {
    case 'insecure':
      return `The browser gives ${what} to secure pages only. Open this page by https. ${without}`;
    case 'NotAllowedError':
    case 'SecurityError':
      return `This page may not use ${what}. Allow it in the browser, by the icon beside the address, ` +
        `then call again. ${without}`;
    case 'NotReadableError':
    case 'AbortError':
      return `Another program seems to be using ${what}. Close it, then call again. ${without}`;
    default:
      return `The browser could not open ${what}. ${without}`;
  }
}

/**
 * Switches all tracks of a kind on or off.
 * @param {MediaStream} stream
 * @param {'audio' | 'video'} kind
 * @param {boolean} on
 */
export function enable(stream, kind, on) {
  for (const track of stream.getTracks()) if (track.kind === kind) track.enabled = on;
}

/** @param {MediaStream} stream */
export function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}
