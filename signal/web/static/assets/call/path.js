/** Describes the route of the media for people. No DOM. */

/** @typedef {import('../../sdk/icebox.js').Stats} Stats */

/**
 * Describes the route in one or two sentences.
 * @param {Stats} stats
 * @param {string} name the other side
 * @returns {string}
 */
export function pathWords({ local, remote }, name) {
  if (!local || !remote) return 'There is no connection yet.';
  const both = local.type === 'relay' && remote.type === 'relay';
  if (local.type === 'relay') {
    const over = (local.relayProtocol || local.protocol).toUpperCase();
    const rest = both ? `${name} uses a relay too.` : `From there it goes straight to ${name}.`;
    return `Your video goes through this server’s relay over ${over}. ${rest}`;
  }
  const protocol = local.protocol.toUpperCase();
  if (remote.type === 'relay') {
    return `Your video goes over ${protocol} to a relay that ${name} uses. You do not need a relay yourself.`;
  }
  if (local.type === 'host' && remote.type === 'host') {
    return `Your video goes straight to ${name} over ${protocol}, within one network or between public addresses. No relay is used.`;
  }
  return `Your video goes straight to ${name} over ${protocol}, through a router’s address translation. No relay is used.`;
}

/**
 * Lists the places on the route. Each has the transport by which it is reached from the one before.
 * @param {Stats} stats
 * @param {string} name the other side
 * @returns {{place: string, relay: boolean, transport: string}[]}
 */
export function hops({ local, remote }, name) {
  if (!local || !remote) return [];
  const places = [{ place: 'You', relay: false, transport: '' }];
  let transport = local.protocol.toUpperCase();
  if (local.type === 'relay') {
    places.push({ place: 'Relay', relay: true, transport: (local.relayProtocol || local.protocol).toUpperCase() });
  }
  if (remote.type === 'relay') {
    places.push({ place: `${name}’s relay`, relay: true, transport });
    transport = ''; // only the other side knows how it reaches its relay
  }
  places.push({ place: name, relay: false, transport: transport || '…' });
  return places;
}

/** @type {Record<string, string>} */
const TYPE_WORDS = {
  host: 'local address',
  srflx: 'public address found by STUN',
  prflx: 'public address found by the other side',
  relay: 'address on a relay',
};

/**
 * Explains a candidate type: "relay (address on a relay)".
 * @param {string} type
 * @returns {string}
 */
export function typeWords(type) {
  return TYPE_WORDS[type] ? `${type} (${TYPE_WORDS[type]})` : type;
}

/**
 * Formats an address and a port, with brackets around IPv6.
 * @param {{address: string, port: number}} end
 * @returns {string}
 */
export function addressWords({ address, port }) {
  if (!address) return port ? `hidden by the browser, port ${port}` : 'hidden by the browser';
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
