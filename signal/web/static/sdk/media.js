/** The media that a client sends: microphone, and camera or screen. Its errors say why one can't be opened, and what to do. */

import { Emitter } from './emitter.js';
import { IceboxError } from './errors.js';

/** @typedef {'audio' | 'video'} Kind */
/** @typedef {{audio?: boolean | MediaTrackConstraints, video?: boolean | MediaTrackConstraints}} Wish */

const VIDEO_SIZE = { width: { ideal: 1280 }, height: { ideal: 720 } };

/**
 * Opens a microphone, a camera, or both. It leaves out a kind of device that the machine does not have. If a device is busy
 * or not allowed, it rejects with an IceboxError whose code is media- and the name of the browser's error.
 * @param {Wish} [wish]
 * @param {MediaDevices} [devices]
 * @returns {Promise<LocalMedia>}
 */
export async function openMedia(wish = {}, devices = globalThis.navigator?.mediaDevices) {
  const media = new LocalMedia(devices);
  await media.open(wish);
  return media;
}

/**
 * @extends {Emitter<{track: Kind, change: void, devices: void, problem: IceboxError}>}
 */
export class LocalMedia extends Emitter {
  /** The media that are sent, to show them on the page. The object never changes. */
  stream = new MediaStream();
  #devices;
  /** The tracks of the microphone and the camera. @type {Record<Kind, MediaStreamTrack | null>} */
  #deviceTracks = { audio: null, video: null };
  /** The track of the screen, while it is shared. @type {MediaStreamTrack | null} */
  #screen = null;
  #off = { audio: false, video: false };
  #closed = false;
  #deviceChange = () => this.emit('devices', undefined);

  /** @param {MediaDevices} [devices] undefined in an insecure page */
  constructor(devices) {
    super();
    this.#devices = devices;
    devices?.addEventListener?.('devicechange', this.#deviceChange);
  }

  /** Opens the devices. Called once, by openMedia. @param {Wish} wish */
  async open({ audio = true, video = true }) {
    if (!audio && !video) return;
    /** @type {Wish} */
    const all = { ...(audio && { audio }), ...(video && { video: video === true ? VIDEO_SIZE : { ...VIDEO_SIZE, ...video } }) };
    const tries = audio && video ? [all, { audio: all.audio }, { video: all.video }] : [all];
    for (const wish of tries) {
      const tracks = await this.#getTracks(wish, all).catch((failure) => {
        if (failure.code !== 'media-NotFoundError' && failure.code !== 'media-OverconstrainedError') throw failure;
        return [];
      });
      for (const track of tracks) this.#setTrack(/** @type {Kind} */ (track.kind), track);
      if (tracks.length > 0) return;
    }
  }

  /**
   * Returns the track that is sent: of the screen, if it is shared, or of the device.
   * @param {Kind} kind
   * @returns {MediaStreamTrack | null}
   */
  track(kind) {
    return kind === 'video' ? this.#screen ?? this.#deviceTracks.video : this.#deviceTracks.audio;
  }

  /** Whether the microphone is muted: it stays open, but sends silence. */
  get muted() {
    return this.#off.audio;
  }

  set muted(off) {
    this.#setOff('audio', off);
  }

  /** Whether the camera is off: it stays open, but sends black frames. */
  get cameraOff() {
    return this.#off.video;
  }

  set cameraOff(off) {
    this.#setOff('video', off);
  }

  /** Whether the screen is sent instead of the camera. */
  get sharing() {
    return this.#screen !== null;
  }

  /**
   * Returns the device in use.
   * @param {Kind} kind
   * @returns {string} its ID, empty for none
   */
  device(kind) {
    return this.#deviceTracks[kind]?.getSettings().deviceId ?? '';
  }

  /**
   * Switches to another camera, or opens the first one if there was none.
   * @param {string | null} id the ID of a device, or null for none
   */
  setCamera(id) {
    return this.#switchDevice('video', id);
  }

  /**
   * Switches to another microphone.
   * @param {string | null} id the ID of a device, or null for none
   */
  setMicrophone(id) {
    return this.#switchDevice('audio', id);
  }

  /** Sends the screen instead of the camera, until the application calls stopSharing or the user stops sharing in the browser. */
  async shareScreen() {
    if (!this.#devices?.getDisplayMedia) throw mediaError('insecure');
    const stream = await this.#devices.getDisplayMedia({ video: true }).catch((failure) => {
      throw mediaError(failure.name, 'the screen');
    });
    const [track] = stream.getVideoTracks();
    if (this.#closed) return track.stop();
    this.stopSharing();
    track.contentHint = 'detail';
    track.onended = () => this.stopSharing();
    this.#screen = track;
    this.#onTrackChange('video');
  }

  /** Sends the camera again. */
  stopSharing() {
    if (!this.#screen) return;
    this.#screen.onended = null;
    this.#screen.stop();
    this.#screen = null;
    this.#onTrackChange('video');
  }

  /** Closes all devices. */
  close() {
    this.#closed = true;
    this.#devices?.removeEventListener?.('devicechange', this.#deviceChange);
    for (const track of [this.#deviceTracks.audio, this.#deviceTracks.video, this.#screen]) {
      if (track) track.onended = null;
      track?.stop();
    }
  }

  /**
   * Asks the browser for tracks.
   * @param {Wish} wish
   * @param {Wish} [whole] all devices that the application asked for, so that an error can name them
   */
  async #getTracks(wish, whole = wish) {
    const words = whole.audio && whole.video ? 'the camera and the microphone' : whole.audio ? 'the microphone' : 'the camera';
    if (!this.#devices?.getUserMedia) throw mediaError('insecure', words);
    const stream = await this.#devices.getUserMedia(wish).catch((failure) => {
      throw mediaError(failure?.name ?? 'Error', words);
    });
    if (this.#closed) for (const track of stream.getTracks()) track.stop();
    return stream.getTracks();
  }

  /**
   * Switches to another device. It closes the old one first, because many phones can open only one camera at a time. If the new
   * one fails, it opens the old one again.
   * @param {Kind} kind
   * @param {string | null} id
   */
  async #switchDevice(kind, id) {
    const before = this.device(kind);
    this.#setTrack(kind, null);
    if (id === null) return;
    try {
      await this.#openDevice(kind, { exact: id });
    } catch (failure) {
      if (before) await this.#openDevice(kind, { exact: before }).catch(() => {});
      throw failure;
    }
  }

  /**
   * @param {Kind} kind
   * @param {ConstrainDOMString} [deviceId]
   */
  async #openDevice(kind, deviceId) {
    const wish = { ...(kind === 'video' && VIDEO_SIZE), ...(deviceId && { deviceId }) };
    const [track] = await this.#getTracks({ [kind]: Object.keys(wish).length > 0 ? wish : true });
    if (track && !this.#closed) this.#setTrack(kind, track);
  }

  /**
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  #setTrack(kind, track) {
    const old = this.#deviceTracks[kind];
    if (old) old.onended = null;
    old?.stop();
    this.#deviceTracks[kind] = track;
    if (track) {
      track.enabled = !this.#off[kind];
      track.onended = () => void this.#unplugged(kind);
    }
    this.#onTrackChange(kind);
  }

  /** Handles a device that was unplugged: opens another one, if there is one. @param {Kind} kind */
  async #unplugged(kind) {
    this.#setTrack(kind, null);
    await this.#openDevice(kind).catch((failure) => this.emit('problem', failure));
  }

  /**
   * Replaces a track, and stops the old one.
   * @param {Kind} kind
   * @param {boolean} off
   */
  #setOff(kind, off) {
    this.#off[kind] = off;
    const track = this.#deviceTracks[kind];
    if (track) track.enabled = !off;
    this.emit('change', undefined);
  }

  /** Updates the stream, and emits the events. @param {Kind} kind */
  #onTrackChange(kind) {
    const now = this.track(kind);
    for (const track of this.stream.getTracks()) if (track.kind === kind && track !== now) this.stream.removeTrack(track);
    if (now) this.stream.addTrack(now);
    this.emit('track', kind);
    this.emit('change', undefined);
  }
}

/**
 * The error for a device that can't be opened.
 * @param {string} name the name of a DOMException, or insecure for a page without https
 * @param {string} [what]
 */
function mediaError(name, what = 'the device') {
  /** @type {Record<string, string>} */
  const words = {
    insecure: `The browser allows ${what} on secure pages only. Open this page over https.`,
    NotAllowedError: `This page may not use ${what}. Allow it with the icon next to the address, then try again.`,
    SecurityError: `This page may not use ${what}. Allow it with the icon next to the address, then try again.`,
    NotReadableError: `Another program seems to be using ${what}. Close that program, then try again.`,
    AbortError: `Another program seems to be using ${what}. Close that program, then try again.`,
    NotFoundError: `The browser found no device for ${what}. Connect one, then try again.`,
    OverconstrainedError: `The device you chose for ${what} is not connected. Choose another one.`,
  };
  return new IceboxError(`media-${name}`, words[name] ?? `The browser could not open ${what}.`);
}

/**
 * Lists the devices. Their labels are empty until the page has permission to use them.
 * @param {MediaDevices} [devices]
 * @returns {Promise<{cameras: {id: string, label: string}[], microphones: {id: string, label: string}[]}>}
 */
export async function listDevices(devices = globalThis.navigator?.mediaDevices) {
  const all = (await devices?.enumerateDevices?.()) ?? [];
  const ofKind = (/** @type {string} */ kind) => all
    .filter((device) => device.kind === kind && device.deviceId)
    .map(({ deviceId, label }) => ({ id: deviceId, label }));
  return { cameras: ofKind('videoinput'), microphones: ofKind('audioinput') };
}
