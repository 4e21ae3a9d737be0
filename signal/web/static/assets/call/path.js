/** The way the media take, in words for people. No DOM. */

/** @typedef {import('../../sdk/icebox.js').Stats} Sample */

/**
 * The way the media take, in one or two sentences.
 * @param {Sample} sample
 * @param {string} name the other side
 * @returns {string}
 */
export function pathWords({ local, remote }, name) {
  if (!local || !remote) return 'No way is in use yet.';
  const both = local.type === 'relay' && remote.type === 'relay';
  if (local.type === 'relay') {
    const over = (local.relayProtocol || local.protocol).toUpperCase();
    const rest = both ? `${name} uses a relay, too.` : `From there it goes straight to ${name}.`;
    return `Your video goes through this server’s relay over ${over}. ${rest}`;
  }
  const protocol = local.protocol.toUpperCase();
  if (remote.type === 'relay') {
    return `Your video goes over ${protocol} to a relay that ${name} uses. You need none yourself.`;
  }
  if (local.type === 'host' && remote.type === 'host') {
    return `Your video goes straight to ${name} over ${protocol}, within one network or between public addresses. No relay is used.`;
  }
  return `Your video goes straight to ${name} over ${protocol}, through a router’s address translation. No relay is used.`;
}

/**
 * The places on the way, each with how it is reached from the one before.
 * @param {Sample} sample
 * @param {string} name the other side
 * @returns {{place: string, relay: boolean, way: string}[]}
 */
export function hops({ local, remote }, name) {
  if (!local || !remote) return [];
  const places = [{ place: 'You', relay: false, way: '' }];
  let way = local.protocol.toUpperCase();
  if (local.type === 'relay') {
    places.push({ place: 'Relay', relay: true, way: (local.relayProtocol || local.protocol).toUpperCase() });
  }
  if (remote.type === 'relay') {
    places.push({ place: `${name}’s relay`, relay: true, way });
    way = ''; // only they know how they reach it
  }
  places.push({ place: name, relay: false, way: way || '…' });
  return places;
}

/** @type {Record<string, string>} */
const TYPE_WORDS = {
  host: 'own address',
  srflx: 'public address seen by STUN',
  prflx: 'public address seen by the other side',
  relay: 'address on a relay',
};

/**
 * A candidate type with its meaning: "relay (address on a relay)".
 * @param {string} type
 * @returns {string}
 */
export function typeWords(type) {
  return TYPE_WORDS[type] ? `${type} (${TYPE_WORDS[type]})` : type;
}

/**
 * An address and port; brackets around IPv6.
 * @param {{address: string, port: number}} end
 * @returns {string}
 */
export function addressWords({ address, port }) {
  if (!address) return port ? `hidden by the browser, port ${port}` : 'hidden by the browser';
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
