/** Reads the browser's statistics. They show the route of the media and the quality of the connection. */

/**
 * One end of the candidate pair in use.
 * @typedef {object} End
 * @property {string} type host, srflx, prflx or relay
 * @property {string} address empty when the browser hides it
 * @property {number} port
 * @property {string} protocol udp or tcp, between the two candidates
 * @property {string} relayProtocol udp, tcp or tls, between us and our relay
 * @property {string} url the STUN or TURN server that gave this address
 */

/**
 * The statistics of a connection at one moment.
 * @typedef {object} Sample
 * @property {number} time milliseconds, by the clock of the browser's statistics
 * @property {End | null} local null while no pair is in use
 * @property {End | null} remote
 * @property {number} bytesSent over the pair
 * @property {number} bytesReceived
 * @property {number | null} roundTrip seconds
 * @property {number} framesDecoded
 * @property {number} width of the video received
 * @property {number} height
 * @property {number} framesPerSecond
 * @property {number} packetsLost how many packets from the other side were lost
 * @property {number} packetsReceived
 * @property {number | null} lossSent the share of our recent packets that did not arrive, as the other side reports
 */

/**
 * A sample, with the values computed from it and the previous sample.
 * @typedef {Sample & {
 *   route: 'direct' | 'relayed' | 'none',
 *   sendRate: number | null,
 *   receiveRate: number | null,
 *   loss: number | null,
 *   quality: 'good' | 'fair' | 'poor' | 'unknown',
 * }} Stats
 */

/**
 * Reads a sample from a statistics report.
 * @param {Iterable<[string, any]>} report an RTCStatsReport
 * @returns {Sample}
 */
export function sample(report) {
  const all = new Map(report);
  const pair = pairInUse(all);
  const inbound = [...all.values()].filter(({ type }) => type === 'inbound-rtp');
  const fractions = [...all.values()]
    .filter(({ type, fractionLost }) => type === 'remote-inbound-rtp' && typeof fractionLost === 'number')
    .map(({ fractionLost }) => fractionLost);
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
    packetsReceived: inbound.reduce((sum, { packetsReceived = 0 }) => sum + packetsReceived, 0),
    lossSent: fractions.length > 0 ? Math.max(...fractions) : null,
  };
}

/**
 * Finds the candidate pair in use. The report's transport names it, except in Firefox, which marks the pair itself.
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
 * The rates in both directions between two samples, in bits per second.
 * @param {Sample | null} before null if now is the first sample
 * @param {Sample} now
 * @returns {{sent: number, received: number} | null} null if the samples can't be compared
 */
export function rates(before, now) {
  const seconds = before ? (now.time - before.time) / 1000 : 0;
  if (!before || seconds <= 0) return null;
  const sent = now.bytesSent - before.bytesSent;
  const received = now.bytesReceived - before.bytesReceived;
  if (sent < 0 || received < 0) return null; // the counters are now those of another pair
  return { sent: (sent * 8) / seconds, received: (received * 8) / seconds };
}

/**
 * Computes the statistics of a connection from two samples.
 * @param {Sample | null} before null if now is the first sample
 * @param {Sample} now
 * @param {boolean} connected
 * @returns {Stats}
 */
export function judge(before, now, connected) {
  const rate = rates(before, now);
  const lost = before ? now.packetsLost - before.packetsLost : 0;
  const received = before ? now.packetsReceived - before.packetsReceived : 0;
  const lossReceived = before && received > 0 ? Math.max(0, lost) / (received + Math.max(0, lost)) : null;
  const losses = [lossReceived, now.lossSent].filter((one) => one !== null);
  const loss = losses.length > 0 ? Math.max(...losses) : null;
  return {
    ...now, loss, route: route(now), sendRate: rate?.sent ?? null, receiveRate: rate?.received ?? null,
    quality: connected ? quality(now.roundTrip, loss) : 'unknown',
  };
}

/**
 * @param {Sample} sample
 * @returns {Stats['route']}
 */
export function route({ local, remote }) {
  if (!local || !remote) return 'none';
  return local.type === 'relay' || remote.type === 'relay' ? 'relayed' : 'direct';
}

/**
 * The quality as a user notices it: above a round trip of about 300 ms people talk over each other, and above 2 % of loss the
 * video freezes.
 * @param {number | null} roundTrip seconds
 * @param {number | null} loss
 * @returns {Stats['quality']}
 */
function quality(roundTrip, loss) {
  if (roundTrip === null && loss === null) return 'unknown';
  if ((roundTrip ?? 0) > 0.5 || (loss ?? 0) > 0.08) return 'poor';
  if ((roundTrip ?? 0) > 0.25 || (loss ?? 0) > 0.02) return 'fair';
  return 'good';
}
