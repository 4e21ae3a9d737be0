/** The selection of camera and microphone. The browser remembers it for later calls. */

import { listDevices } from '../../sdk/icebox.js';
import { byId, byKind, element } from '../basics/dom.js';

/** @typedef {import('../../sdk/icebox.js').LocalMedia} LocalMedia */
/** @typedef {'audio' | 'video'} Kind */

const selects = { audio: byKind('microphone', HTMLSelectElement), video: byKind('camera', HTMLSelectElement) };
const fields = { audio: byId('microphone-field'), video: byId('camera-field') };
const NOUNS = { audio: 'Microphone', video: 'Camera' };

export class Devices {
  /** @type {LocalMedia | null} */
  #media = null;
  #problem;

  /** @param {(failure: unknown) => void} problem */
  constructor(problem) {
    this.#problem = problem;
    for (const kind of /** @type {Kind[]} */ (['audio', 'video'])) {
      selects[kind].addEventListener('change', () => void this.#choose(kind, selects[kind].value));
    }
  }

  /**
   * Returns the media to open, preferring the devices that were chosen last.
   * @param {Record<Kind, boolean>} wish
   * @returns {import('../../sdk/icebox.js').MediaWish}
   */
  wish(wish) {
    const ofKind = (/** @type {Kind} */ kind) => {
      const id = recall(kind);
      return wish[kind] && id ? { deviceId: { ideal: id } } : wish[kind];
    };
    return { audio: ofKind('audio'), video: ofKind('video') };
  }

  /** @param {LocalMedia | null} media */
  attach(media) {
    if (media === this.#media) return;
    this.#media = media;
    media?.on('devices', () => void this.#showDevices());
    media?.on('change', () => void this.#showDevices());
    media?.on('problem', this.#problem);
    void this.#showDevices();
  }

  async #showDevices() {
    const media = this.#media;
    const { cameras, microphones } = media ? await listDevices() : { cameras: [], microphones: [] };
    byId('devices').hidden = cameras.length + microphones.length === 0;
    for (const [kind, devices] of /** @type {const} */ ([['audio', microphones], ['video', cameras]])) {
      const now = media?.device(kind) ?? '';
      fields[kind].hidden = devices.length === 0;
      const options = devices.map(({ id, label }, i) => option(id, label || `${NOUNS[kind]} ${i + 1}`, id === now));
      if (now === '') options.unshift(option('', 'None', true));
      selects[kind].replaceChildren(...options);
    }
  }

  /**
   * @param {Kind} kind
   * @param {string} id
   */
  async #choose(kind, id) {
    try {
      if (kind === 'audio') await this.#media?.setMicrophone(id || null);
      else await this.#media?.setCamera(id || null);
      remember(kind, id);
    } catch (failure) {
      this.#problem(failure);
    }
    await this.#showDevices();
  }
}

/**
 * @param {string} value
 * @param {string} label
 * @param {boolean} selected
 */
function option(value, label, selected) {
  return element('option', { value, ...(selected && { selected: '' }) }, label);
}

/**
 * @param {Kind} kind
 * @param {string} id
 */
function remember(kind, id) {
  try {
    localStorage.setItem(`icebox-${kind}`, id);
  } catch {
    // The browser may forbid storage. The user then has to choose the device again.
  }
}

/** @param {Kind} kind */
function recall(kind) {
  try {
    return localStorage.getItem(`icebox-${kind}`) ?? '';
  } catch {
    return '';
  }
}
