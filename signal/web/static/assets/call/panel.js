/**
 * The panel that shows which way the media take. Each figure is there for a
 * person as text and for a program, unrounded, as data-value.
 */

import { byId, element, setText } from '../basics/dom.js';
import { bitrate, bytes } from '../basics/format.js';
import { addressWords, hops, pathWords, rates, sample, typeWords } from './stats.js';

/** @typedef {import('./stats.js').Sample} Sample */
/** @typedef {import('./stats.js').End} End */

export class PathPanel {
  /** @type {Sample | null} */
  #before = null;

  /** Hides the panel and forgets the call it showed. */
  hide() {
    byId('path').hidden = true;
    this.#before = null;
  }

  /**
   * @param {RTCStatsReport} report
   * @param {string} name the other side
   */
  show(report, name) {
    const now = sample(report);
    const perSecond = rates(this.#before, now);
    this.#before = now;
    byId('path').hidden = false;
    showHops(hops(now, name));
    setText(byId('path-words'), pathWords(now, name));
    showEnd('stat-local', now.local);
    showEnd('stat-remote', now.remote);
    figure('stat-protocol', now.local?.protocol ?? '', (now.local?.protocol ?? '').toUpperCase());
    const relayProtocol = now.local?.relayProtocol ?? '';
    figure('stat-relay-protocol', relayProtocol, relayProtocol.toUpperCase() || 'no relay');
    figure('stat-round-trip', now.roundTrip ?? '', now.roundTrip === null ? '–' : `${Math.round(now.roundTrip * 1000)} ms`);
    figure('stat-send-rate', perSecond?.sent ?? '', perSecond ? bitrate(perSecond.sent) : '–');
    figure('stat-receive-rate', perSecond?.received ?? '', perSecond ? bitrate(perSecond.received) : '–');
    figure('stat-bytes-sent', now.bytesSent, bytes(now.bytesSent));
    figure('stat-bytes-received', now.bytesReceived, bytes(now.bytesReceived));
    figure('stat-packets-lost', now.packetsLost, String(now.packetsLost));
    figure('stat-frames-decoded', now.framesDecoded, String(now.framesDecoded));
    figure('stat-picture', now.height, pictureWords(now));
  }
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

/** @param {Sample} now */
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
