/**
 * How large a picture is sent, by how many others there are: each gets one of its own, so that what a line and a
 * processor have is divided. All together come to about what one picture to one other takes.
 */

/** By how many others there are at least. @type {{others: number, maxBitrate: number, scaleResolutionDownBy: number}[]} */
const SIZES = [
  { others: 5, maxBitrate: 300_000, scaleResolutionDownBy: 4 },
  { others: 3, maxBitrate: 600_000, scaleResolutionDownBy: 2 },
  { others: 2, maxBitrate: 1_200_000, scaleResolutionDownBy: 1 },
];

/**
 * @param {number} others
 * @param {boolean} sharing A screen is of no use when it can't be read: it may be slow, not small.
 * @returns {{maxBitrate?: number, scaleResolutionDownBy: number}} without a rate the browser decides
 */
export function sizeFor(others, sharing) {
  const found = SIZES.find((size) => others >= size.others);
  if (!found) return { scaleResolutionDownBy: 1 };
  const { maxBitrate, scaleResolutionDownBy } = found;
  return { maxBitrate, scaleResolutionDownBy: sharing ? 1 : scaleResolutionDownBy };
}

/**
 * Has a sender send pictures of a size.
 * @param {RTCRtpSender | undefined} sender
 * @param {{maxBitrate?: number, scaleResolutionDownBy: number}} size
 */
export async function resize(sender, { maxBitrate, scaleResolutionDownBy }) {
  const parameters = sender?.getParameters?.();
  let differs = false;
  for (const encoding of parameters?.encodings ?? []) {
    if (encoding.maxBitrate === maxBitrate && (encoding.scaleResolutionDownBy ?? 1) === scaleResolutionDownBy) continue;
    differs = true;
    encoding.scaleResolutionDownBy = scaleResolutionDownBy;
    if (maxBitrate === undefined) delete encoding.maxBitrate;
    else encoding.maxBitrate = maxBitrate;
  }
  // A browser that can't, or a connection that is closed meanwhile, sends on as it did.
  if (sender && parameters && differs) await sender.setParameters(parameters).catch(() => {});
}
