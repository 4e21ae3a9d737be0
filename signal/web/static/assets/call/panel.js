/**
 * The panel that shows the route of the media. Each value is there as text for people and, not rounded, in data-value for
 * programs.
 */

import { byId, byKind, element, setText } from '../basics/dom.js';
import { bitrate, bytes } from '../basics/format.js';
import { addressWords, hops, pathWords, typeWords } from './path.js';

/** @typedef {import('../../sdk/icebox.js').Stats} Stats */
/** @typedef {import('../../sdk/icebox.js').End} End */
/** @typedef {{name: string, stats: Stats}} Connection */

const partySelect = byKind('whose', HTMLSelectElement);

export class PathPanel {
  hide() {
    byId('path').hidden = true;
  }

  /** @param {Connection[]} connections */
  show(connections) {
    showNames(connections.map(({ name }) => name));
    const shown = connections[Math.max(0, partySelect.selectedIndex)];
    byId('path').hidden = shown === undefined;
    if (shown) this.#showFigures(shown.stats, shown.name);
  }

  /**
   * @param {Stats} now
   * @param {string} name the other side
   */
  #showFigures(now, name) {
    showHops(hops(now, name));
    setText(byId('path-words'), pathWords(now, name));
    showEnd('stat-local', now.local);
    showEnd('stat-remote', now.remote);
    setFigure('stat-protocol', now.local?.protocol ?? '', (now.local?.protocol ?? '').toUpperCase());
    const relayProtocol = now.local?.relayProtocol ?? '';
    setFigure('stat-relay-protocol', relayProtocol, relayProtocol.toUpperCase() || 'no relay');
    setFigure('stat-round-trip', now.roundTrip ?? '', now.roundTrip === null ? '–' : `${Math.round(now.roundTrip * 1000)} ms`);
    setFigure('stat-send-rate', now.sendRate ?? '', now.sendRate === null ? '–' : bitrate(now.sendRate));
    setFigure('stat-receive-rate', now.receiveRate ?? '', now.receiveRate === null ? '–' : bitrate(now.receiveRate));
    setFigure('stat-bytes-sent', now.bytesSent, bytes(now.bytesSent));
    setFigure('stat-bytes-received', now.bytesReceived, bytes(now.bytesReceived));
    setFigure('stat-packets-lost', now.packetsLost, String(now.packetsLost));
    setFigure('stat-frames-decoded', now.framesDecoded, String(now.framesDecoded));
    setFigure('stat-picture', now.height, pictureWords(now));
  }
}

/** Shows a selection of the parties if there are several. @param {string[]} names */
function showNames(names) {
  byId('whose-field').hidden = names.length < 2;
  const text = JSON.stringify(names);
  if (partySelect.dataset.shown === text) return;
  partySelect.dataset.shown = text;
  const { selectedIndex } = partySelect;
  partySelect.replaceChildren(...names.map((name) => element('option', {}, `To ${name}`)));
  partySelect.selectedIndex = Math.max(0, Math.min(selectedIndex, names.length - 1));
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
function setFigure(id, value, words) {
  const target = byId(id);
  target.dataset.value = String(value);
  setText(target, words);
}

/** @param {Stats} now */
function pictureWords({ width, height, framesPerSecond }) {
  return width ? `${width} × ${height}, ${Math.round(framesPerSecond)}/s` : '–';
}

/**
 * Shows the route as a chain of places. It is hidden from screen readers, because the sentence below it says the same.
 * @param {ReturnType<typeof hops>} places
 */
function showHops(places) {
  const target = byId('path-hops');
  const text = JSON.stringify(places);
  if (target.dataset.shown === text) return;
  target.dataset.shown = text;
  target.replaceChildren(...places.map(({ place, relay, transport }) => element('li', {},
    ...(transport ? [element('span', { class: 'way' }, `${transport} →`)] : []),
    element('span', { class: relay ? 'place relay' : 'place' }, place))));
}
