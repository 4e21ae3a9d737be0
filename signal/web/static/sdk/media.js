/** What we send: camera, microphone and screen, and why one can't have them. */

import { Emitter } from './emitter.js';
import { IceboxError } from './errors.js';

/** @typedef {'audio' | 'video'} Kind */
/** @typedef {{audio?: boolean | MediaTrackConstraints, video?: boolean | MediaTrackConstraints}} Wish */

const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 } };

/**
 * Opens what is wished for. A kind of device that the machine lacks is left out; one that is refused or busy is an
 * error, whose code is media- and the browser's name for it.
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
  /** What is sent now, to be shown. Always the same object. */
  stream = new MediaStream();
  #devices;
  /** @type {Record<Kind, MediaStreamTrack | null>} From a device. */
  #own = { audio: null, video: null };
  /** @type {MediaStreamTrack | null} */
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

  /** @param {Wish} wish */
  async open({ audio = true, video = true }) {
    if (!audio && !video) return;
    /** @type {Wish} */
    const all = { ...(audio && { audio }), ...(video && { video: video === true ? PICTURE : { ...PICTURE, ...video } }) };
    const tries = audio && video ? [all, { audio: all.audio }, { video: all.video }] : [all];
    for (const wish of tries) {
      const tracks = await this.#get(wish, all).catch((failure) => {
        if (failure.code !== 'media-NotFoundError' && failure.code !== 'media-OverconstrainedError') throw failure;
        return [];
      });
      for (const track of tracks) this.#take(/** @type {Kind} */ (track.kind), track);
      if (tracks.length > 0) return;
    }
  }

  /**
   * The track that is sent.
   * @param {Kind} kind
   * @returns {MediaStreamTrack | null}
   */
  track(kind) {
    return kind === 'video' ? this.#screen ?? this.#own.video : this.#own.audio;
  }

  /** Whether the microphone is silent. */
  get muted() {
    return this.#off.audio;
  }

  set muted(off) {
    this.#switch('audio', off);
  }

  /** Whether the camera shows nothing. */
  get cameraOff() {
    return this.#off.video;
  }

  set cameraOff(off) {
    this.#switch('video', off);
  }

  /** Whether the screen is sent instead of the camera. */
  get sharing() {
    return this.#screen !== null;
  }

  /**
   * The device in use.
   * @param {Kind} kind
   * @returns {string} its ID, empty for none
   */
  device(kind) {
    return this.#own[kind]?.getSettings().deviceId ?? '';
  }

  /**
   * Takes another camera, or the first one if there was none.
   * @param {string | null} id a device's; null for none
   */
  setCamera(id) {
    return this.#change('video', id);
  }

  /**
   * Takes another microphone.
   * @param {string | null} id a device's; null for none
   */
  setMicrophone(id) {
    return this.#change('audio', id);
  }

  /** Sends the screen instead of the camera, until it is ended here or by the browser. */
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
    this.#changed('video');
  }

  /** Goes back to the camera. */
  stopSharing() {
    if (!this.#screen) return;
    this.#screen.onended = null;
    this.#screen.stop();
    this.#screen = null;
    this.#changed('video');
  }

  /** Gives all devices back. */
  close() {
    this.#closed = true;
    this.#devices?.removeEventListener?.('devicechange', this.#deviceChange);
    for (const track of [this.#own.audio, this.#own.video, this.#screen]) {
      if (track) track.onended = null;
      track?.stop();
    }
  }

  /**
   * @param {Wish} wish
   * @param {Wish} [whole] what is asked for in all, for the words
   */
  async #get(wish, whole = wish) {
    const words = whole.audio && whole.video ? 'the camera and the microphone' : whole.audio ? 'the microphone' : 'the camera';
    if (!this.#devices?.getUserMedia) throw mediaError('insecure', words);
    const stream = await this.#devices.getUserMedia(wish).catch((failure) => {
      throw mediaError(failure?.name ?? 'Error', words);
    });
    if (this.#closed) for (const track of stream.getTracks()) track.stop();
    return stream.getTracks();
  }

  /**
   * The old device is closed first: many a phone opens one camera at a time.
   * @param {Kind} kind
   * @param {string | null} id
   */
  async #change(kind, id) {
    const before = this.device(kind);
    this.#take(kind, null);
    if (id === null) return;
    try {
      await this.#open(kind, { exact: id });
    } catch (failure) {
      if (before) await this.#open(kind, { exact: before }).catch(() => {});
      throw failure;
    }
  }

  /**
   * @param {Kind} kind
   * @param {ConstrainDOMString} [deviceId]
   */
  async #open(kind, deviceId) {
    const wish = { ...(kind === 'video' && PICTURE), ...(deviceId && { deviceId }) };
    const [track] = await this.#get({ [kind]: Object.keys(wish).length > 0 ? wish : true });
    if (track && !this.#closed) this.#take(kind, track);
  }

  /**
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  #take(kind, track) {
    const old = this.#own[kind];
    if (old) old.onended = null;
    old?.stop();
    this.#own[kind] = track;
    if (track) {
      track.enabled = !this.#off[kind];
      track.onended = () => void this.#unplugged(kind);
    }
    this.#changed(kind);
  }

  /** @param {Kind} kind A device has gone: another one may do. */
  async #unplugged(kind) {
    this.#take(kind, null);
    await this.#open(kind).catch((failure) => this.emit('problem', failure));
  }

  /**
   * @param {Kind} kind
   * @param {boolean} off
   */
  #switch(kind, off) {
    this.#off[kind] = off;
    const track = this.#own[kind];
    if (track) track.enabled = !off;
    this.emit('change', undefined);
  }

  /** @param {Kind} kind */
  #changed(kind) {
    const now = this.track(kind);
    for (const track of this.stream.getTracks()) if (track.kind === kind && track !== now) this.stream.removeTrack(track);
    if (now) this.stream.addTrack(now);
    this.emit('track', kind);
    this.emit('change', undefined);
  }
}

/**
 * @param {string} name a DOMException's, or insecure
 * @param {string} [what]
 */
function mediaError(name, what = 'the device') {
  /** @type {Record<string, string>} */
  const words = {
    insecure: `The browser gives ${what} to secure pages only. Open this page by https.`,
    NotAllowedError: `This page may not use ${what}. Allow it in the browser, by the icon beside the address.`,
    SecurityError: `This page may not use ${what}. Allow it in the browser, by the icon beside the address.`,
    NotReadableError: `Another program seems to be using ${what}. Close it, then try again.`,
    AbortError: `Another program seems to be using ${what}. Close it, then try again.`,
    NotFoundError: `This machine has no such device for ${what}.`,
    OverconstrainedError: `The device chosen for ${what} is not there any more.`,
  };
  return new IceboxError(`media-${name}`, words[name] ?? `The browser could not open ${what}.`);
}

/**
 * The devices there are. Without permission they have no names.
 * @param {MediaDevices} [devices]
 * @returns {Promise<{cameras: {id: string, label: string}[], microphones: {id: string, label: string}[]}>}
 */
export async function listDevices(devices = globalThis.navigator?.mediaDevices) {
  const all = (await devices?.enumerateDevices?.()) ?? [];
  const of = (/** @type {string} */ kind) => all
    .filter((device) => device.kind === kind && device.deviceId)
    .map(({ deviceId, label }) => ({ id: deviceId, label }));
  return { cameras: of('videoinput'), microphones: of('audioinput') };
}
