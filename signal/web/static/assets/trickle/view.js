/** Shows servers, candidates and findings on the page. It makes no decisions. */

import { byId, element, setText } from '../basics/dom.js';
import { errorWords } from './errors.js';
import { isTurn } from './uri.js';

/** @typedef {import('./servers.js').Server} Server */
/** @typedef {import('./gather.js').CandidateRow} CandidateRow */
/** @typedef {import('./gather.js').ErrorRow} ErrorRow */
/** @typedef {import('./verdict.js').Finding} Finding */

/**
 * @param {Server[]} servers
 * @param {{edit: (at: number) => void, remove: (at: number) => void}} actions
 */
export function showServers(servers, actions) {
  const list = byId('servers');
  list.hidden = servers.length === 0;
  byId('no-servers').hidden = servers.length > 0;
  list.replaceChildren(...servers.map((server, at) => {
    const button = (/** @type {string} */ word, /** @type {(at: number) => void} */ act) => {
      const made = element('button', { class: 'button small quiet', type: 'button', 'aria-label': `${word} ${server.uri}` }, word);
      made.addEventListener('click', () => act(at));
      return made;
    };
    const about = element('div', { class: 'server-words' }, element('code', {}, server.uri));
    if (isTurn(server.uri)) about.append(element('span', { class: 'hint' }, `as ${server.username}`));
    return element('li', { 'data-uri': server.uri }, about,
      element('div', { class: 'server-actions' }, button('Edit', actions.edit), button('Remove', actions.remove)));
  }));
}

/** Removes the results of the test before. */
export function clearRows() {
  for (const id of ['candidate-rows', 'error-rows', 'findings']) byId(id).replaceChildren();
  for (const id of ['found', 'failed', 'outcome']) byId(id).hidden = true;
}

/** @param {CandidateRow} row */
export function addCandidate(row) {
  byId('found').hidden = false;
  const protocol = row.relayProtocol
    ? `${row.protocol.toUpperCase()}, relay over ${row.relayProtocol}`
    : row.protocol.toUpperCase();
  byId('candidate-rows').append(tableRow({
    'data-type': row.type, 'data-relay-protocol': row.relayProtocol.toLowerCase(), 'data-url': row.url,
  }, [
    ['Time', `${Math.round(row.time)} ms`, 'number'],
    ['Type', row.type, `type type-${row.type}`],
    ['Protocol', protocol, ''],
    ['Address', row.address || 'hidden', 'address'],
    ['Port', String(row.port), 'number'],
    ['Priority', priorityWords(row.priority), 'number'],
    ['Foundation', row.foundation, 'number'],
    ['From server', row.url || '–', 'url'],
  ]));
}

/** @param {ErrorRow} row */
export function addError(row) {
  byId('failed').hidden = false;
  byId('error-rows').append(tableRow({ 'data-code': String(row.code), 'data-url': row.url }, [
    ['Time', `${Math.round(row.time)} ms`, 'number'],
    ['Code', String(row.code), 'number'],
    ['What it means', errorWords(row.code, row.text, row.url), 'sentence'],
    ['Server', row.url || '–', 'url'],
    ['From address', row.from || '–', 'address'],
  ]));
}

/**
 * @param {string} summary
 * @param {Finding[]} findings
 */
export function showOutcome(summary, findings) {
  byId('outcome').hidden = false;
  setText(byId('summary'), summary);
  byId('findings').replaceChildren(...findings.map(({ kind, uri, words }) => {
    const item = element('li', { class: `finding ${kind}`, 'data-kind': kind, 'data-uri': uri });
    const text = element('div', {});
    if (uri) text.append(element('code', {}, uri), ' ');
    text.append(element('span', {}, words));
    item.append(element('span', { class: 'mark' }, MARKS[kind]), text);
    return item;
  }));
  byId('outcome').scrollIntoView({ block: 'nearest' });
}

/** The result as a word, for users who can't tell the colours apart. @type {Record<Finding['kind'], string>} */
const MARKS = { good: 'Works', bad: 'Fails', unsure: 'Note' };

/**
 * Splits a candidate's priority into its three parts (RFC 8445, section 5.1.2.1): type preference, local preference, and 256
 * minus the component ID.
 * @param {number} priority
 * @returns {string}
 */
export function priorityWords(priority) {
  return `${priority >>> 24} | ${(priority >>> 8) & 0xffff} | ${priority & 0xff}`;
}

/**
 * Makes a row of a table. It sets the roles explicitly: a narrow window shows a row as a block, and with that display style
 * browsers no longer treat it as a row.
 * @param {Record<string, string>} attributes
 * @param {[label: string, text: string, style: string][]} cells
 */
function tableRow(attributes, cells) {
  return element('tr', { role: 'row', ...attributes }, ...cells.map(([label, text, style]) =>
    element('td', { role: 'cell', 'data-label': label, ...(style && { class: style }) }, text)));
}
