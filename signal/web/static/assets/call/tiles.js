/** Shows the videos of the other parties, one tile for each. */

import { byId, element, setText } from '../basics/dom.js';
import { qualityWords } from './words.js';

/** @typedef {import('../../sdk/icebox.js').Party} Party */
/** @typedef {{root: HTMLElement, video: HTMLVideoElement, picture: HTMLElement, name: HTMLElement, muted: HTMLElement, quality: HTMLElement}} Tile */

export class Tiles {
  /** @type {Map<Party, Tile>} */
  #tiles = new Map();

  /** @param {Party[]} parties */
  show(parties) {
    for (const [party, { root }] of this.#tiles) {
      if (parties.includes(party)) continue;
      root.remove();
      this.#tiles.delete(party);
    }
    for (const party of parties) this.#refresh(party, this.#tiles.get(party) ?? this.#add(party));
    for (const id of ['room', 'tiles']) byId(id).dataset.count = String(parties.length);
  }

  /**
   * @param {Party} party
   * @param {import('../../sdk/icebox.js').Stats} stats
   */
  showQuality(party, stats) {
    const quality = this.#tiles.get(party)?.quality;
    if (!quality) return;
    quality.dataset.quality = stats.quality;
    setText(quality, qualityWords(stats));
  }

  /** @param {Party} party */
  #add(party) {
    const video = document.createElement('video');
    video.autoplay = true;
    video.playsInline = true;
    const picture = element('span', { class: 'tile-picture', 'aria-hidden': 'true' });
    const name = element('span', { class: 'tile-name' });
    const muted = element('span', { class: 'tile-muted' }, 'muted');
    const quality = element('span', { class: 'tile-quality' });
    const root = element('figure', { class: 'tile' }, picture, video, element('figcaption', {}, name, muted, quality));
    const tile = { root, video, picture, name, muted, quality };
    this.#tiles.set(party, tile);
    byId('tiles').append(root);
    return tile;
  }

  /**
   * @param {Party} party
   * @param {Tile} tile
   */
  #refresh(party, { root, video, picture, name, muted }) {
    const shownName = party.name || 'Guest';
    if (video.srcObject !== party.stream) video.srcObject = party.stream;
    video.setAttribute('aria-label', party.shows.sharing ? `The screen of ${shownName}` : `Video from ${shownName}`);
    video.hidden = !party.shows.camera;
    root.dataset.sharing = String(party.shows.sharing);
    setText(picture, initial(shownName));
    setText(name, shownName);
    muted.hidden = party.shows.microphone;
    if (!party.connected) setText(this.#tiles.get(party)?.quality ?? name, party.met ? 'Reconnecting…' : 'Connecting…');
  }
}

/**
 * @param {string | undefined} name
 * @returns {string} its first character, by code points, so that an emoji is not cut in half
 */
export function initial(name = '') {
  return Array.from(name)[0] ?? '';
}
