/**
 * What a connection's statistics say about the way its media take, in figures
 * and in words. No DOM.
 */

/**
 * One end of the candidate pair in use.
 * @typedef {object} End
 * @property {string} type host, srflx, prflx or relay
 * @property {string} address empty when the browser hides it
 * @property {number} port
 * @property {string} protocol udp or tcp: of the pair, not of the way to the relay
 * @property {string} relayProtocol udp, tcp or tls: of the way to our own relay
 * @property {string} url the STUN or TURN server it came from
 */

/**
 * One moment of a call.
 * @typedef {object} Sample
 * @property {number} time milliseconds, of the browser's statistics clock
 * @property {End | null} local null while no pair is in use
 * @property {End | null} remote
 * @property {number} bytesSent over the pair
 * @property {number} bytesReceived
 * @property {number | null} roundTrip seconds
 * @property {number} framesDecoded
 * @property {number} width of the video received
 * @property {number} height
 * @property {number} framesPerSecond
 * @property {number} packetsLost of what the other side sent
 */

/**
 * Reads one moment out of a statistics report.
 * @param {Iterable<[string, any]>} report an RTCStatsReport
 * @returns {Sample}
 */
export function sample(report) {
  const all = new Map(report);
  const pair = pairInUse(all);
  const inbound = [...all.values()].filter(({ type }) => type === 'inbound-rtp');
  const video = inbound.find(({ kind }) => kind === 'video') ?? {};
  return {
    time: pair?.timestamp ?? 0,
    local: end(all.get(pair?.localCandidateId)),
    remote: end(all.get(pair?.remoteCandidateId)),
    bytesSent: pair?.bytesSent ?? 0,
    bytesReceived: pair?.bytesReceived ?? 0,
    roundTrip: pair?.currentRoundTripTime ?? null,
    framesDecoded: video.framesDecoded ?? 0,
    width: video.frameWidth ?? 0,
    height: video.frameHeight ?? 0,
    framesPerSecond: video.framesPerSecond ?? 0,
    packetsLost: inbound.reduce((sum, { packetsLost = 0 }) => sum + packetsLost, 0),
  };
}

/**
 * The pair that the transport names; Firefox marks it instead.
 * @param {Map<string, any>} all
 */
function pairInUse(all) {
  const values = [...all.values()];
  const transport = values.find(({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId);
  if (transport) return all.get(transport.selectedCandidatePairId);
  const pairs = values.filter(({ type }) => type === 'candidate-pair');
  return pairs.find(({ selected }) => selected) ??
    pairs.find(({ nominated, state }) => nominated && state === 'succeeded');
}

/**
 * @param {any} candidate
 * @returns {End | null}
 */
function end(candidate) {
  if (!candidate) return null;
  return {
    type: candidate.candidateType ?? '',
    address: candidate.address ?? candidate.ip ?? '',
    port: candidate.port ?? 0,
    protocol: candidate.protocol ?? '',
    relayProtocol: candidate.relayProtocol ?? '',
    url: candidate.url ?? '',
  };
}

/**
 * How much goes each way, in bits per second, between two samples.
 * @param {Sample | null} before null for the first one
 * @param {Sample} now
 * @returns {{sent: number, received: number} | null} null when nothing can be said
 */
export function rates(before, now) {
  const seconds = before ? (now.time - before.time) / 1000 : 0;
  if (!before || seconds <= 0) return null;
  const sent = now.bytesSent - before.bytesSent;
  const received = now.bytesReceived - before.bytesReceived;
  if (sent < 0 || received < 0) return null; // another pair took over
  return { sent: (sent * 8) / seconds, received: (received * 8) / seconds };
}

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
