/**
 * The bit rate and the resolution of the video that is sent to each party of a call. Each party gets its own encoding, so the
 * upload and the processor are shared among them: all encodings together cost about as much as a single one for one party.
 */

/**
 * The limits by the number of other parties: the first row whose `others` is reached counts.
 * @type {{others: number, maxBitrate: number, scaleResolutionDownBy: number}[]}
 */
const SIZES = [
  { others: 5, maxBitrate: 300_000, scaleResolutionDownBy: 4 },
  { others: 3, maxBitrate: 600_000, scaleResolutionDownBy: 2 },
  { others: 2, maxBitrate: 1_200_000, scaleResolutionDownBy: 1 },
];

/**
 * The limits for the video to each party.
 * @param {number} others the number of other parties
 * @param {boolean} sharing whether the video is a screen. A screen keeps its full resolution, at fewer frames per second,
 *   because smaller text would be unreadable.
 * @returns {{maxBitrate?: number, scaleResolutionDownBy: number}} without maxBitrate, the browser chooses the bit rate
 */
export function sizeFor(others, sharing) {
  const found = SIZES.find((size) => others >= size.others);
  if (!found) return { scaleResolutionDownBy: 1 };
  const { maxBitrate, scaleResolutionDownBy } = found;
  return { maxBitrate, scaleResolutionDownBy: sharing ? 1 : scaleResolutionDownBy };
}

/**
 * Applies the limits to a sender, unless it has them already.
 * @param {RTCRtpSender | undefined} sender
 * @param {{maxBitrate?: number, scaleResolutionDownBy: number}} size
 */
export async function applySize(sender, { maxBitrate, scaleResolutionDownBy }) {
  const parameters = sender?.getParameters?.();
  let differs = false;
  for (const encoding of parameters?.encodings ?? []) {
    if (encoding.maxBitrate === maxBitrate && (encoding.scaleResolutionDownBy ?? 1) === scaleResolutionDownBy) continue;
    differs = true;
    encoding.scaleResolutionDownBy = scaleResolutionDownBy;
    if (maxBitrate === undefined) delete encoding.maxBitrate;
    else encoding.maxBitrate = maxBitrate;
  }
  // If the browser does not support this, or the connection is closed by now, the sender stays as it is.
  if (sender && parameters && differs) await sender.setParameters(parameters).catch(() => {});
}
