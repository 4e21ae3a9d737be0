/**
 * The panel that shows which way the media take. Each figure is there for a
 * person as text and for a program, unrounded, as data-value.
 */

import { byId, byKind, element, setText } from '../basics/dom.js';
import { bitrate, bytes } from '../basics/format.js';
import { addressWords, hops, pathWords, typeWords } from './path.js';

/** @typedef {import('../../sdk/icebox.js').Stats} Stats */
/** @typedef {import('../../sdk/icebox.js').End} End */
/** @typedef {{name: string, stats: Stats}} Connection */

const whose = byKind('whose', HTMLSelectElement);

export class PathPanel {
  hide() {
    byId('path').hidden = true;
  }

  /** @param {Connection[]} connections */
  show(connections) {
    showNames(connections.map(({ name }) => name));
    const shown = connections[Math.max(0, whose.selectedIndex)];
    byId('path').hidden = shown === undefined;
    if (shown) this.#figures(shown.stats, shown.name);
  }

  /**
   * @param {Stats} now
   * @param {string} name the other side
   */
  #figures(now, name) {
    showHops(hops(now, name));
    setText(byId('path-words'), pathWords(now, name));
    showEnd('stat-local', now.local);
    showEnd('stat-remote', now.remote);
    figure('stat-protocol', now.local?.protocol ?? '', (now.local?.protocol ?? '').toUpperCase());
    const relayProtocol = now.local?.relayProtocol ?? '';
    figure('stat-relay-protocol', relayProtocol, relayProtocol.toUpperCase() || 'no relay');
    figure('stat-round-trip', now.roundTrip ?? '', now.roundTrip === null ? '–' : `${Math.round(now.roundTrip * 1000)} ms`);
    figure('stat-send-rate', now.sendRate ?? '', now.sendRate === null ? '–' : bitrate(now.sendRate));
    figure('stat-receive-rate', now.receiveRate ?? '', now.receiveRate === null ? '–' : bitrate(now.receiveRate));
    figure('stat-bytes-sent', now.bytesSent, bytes(now.bytesSent));
    figure('stat-bytes-received', now.bytesReceived, bytes(now.bytesReceived));
    figure('stat-packets-lost', now.packetsLost, String(now.packetsLost));
    figure('stat-frames-decoded', now.framesDecoded, String(now.framesDecoded));
    figure('stat-picture', now.height, pictureWords(now));
  }
}

/** @param {string[]} names One can choose where there are several. */
function showNames(names) {
  byId('whose-field').hidden = names.length < 2;
  const text = JSON.stringify(names);
  if (whose.dataset.shown === text) return;
  whose.dataset.shown = text;
  const { selectedIndex } = whose;
  whose.replaceChildren(...names.map((name) => element('option', {}, `To ${name}`)));
  whose.selectedIndex = Math.max(0, Math.min(selectedIndex, names.length - 1));
}

/**
 * @param {string} id
 * @param {End | null} end
 */
function showEnd(id, end) {
  const target = byId(id);
  target.dataset.type = end?.type ?? '';
  target.dataset.address = end?.address ?? '';
  target.dataset.port = String(end?.port ?? '');
  target.dataset.url = end?.url ?? '';
  setText(target, end ? `${typeWords(end.type)}, ${addressWords(end)}` : '–');
}

/**
 * @param {string} id
 * @param {string | number} value
 * @param {string} words
 */
function figure(id, value, words) {
  const target = byId(id);
  target.dataset.value = String(value);
  setText(target, words);
}

/** @param {Stats} now */
function pictureWords({ width, height, framesPerSecond }) {
  return width ? `${width} × ${height}, ${Math.round(framesPerSecond)}/s` : '–';
}

/**
 * The way as a chain of places, for those who see it; the sentence below it says
 * the same.
 * @param {ReturnType<typeof hops>} places
 */
function showHops(places) {
  const target = byId('path-hops');
  const text = JSON.stringify(places);
  if (target.dataset.shown === text) return;
  target.dataset.shown = text;
  target.replaceChildren(...places.map(({ place, relay, way }) => element('li', {},
    ...(way ? [element('span', { class: 'way' }, `${way} →`)] : []),
    element('span', { class: relay ? 'place relay' : 'place' }, place))));
}
