// Runs the body of an async function with the RTCPeerConnection of npm's @roamhq/wrtc, which is libwebrtc without a
// browser. Usage: libwebrtc.mjs BODY ARGS, where ARGS is JSON. Prints as JSON what the function returns.
import wrtc from '@roamhq/wrtc';

const [body, args] = process.argv.slice(2);
const AsyncFunction = (async () => {}).constructor;
const value = await new AsyncFunction('RTCPeerConnection', 'args', body)(wrtc.RTCPeerConnection, JSON.parse(args));
process.stdout.write(JSON.stringify(value ?? null), () => process.exit()); // wrtc's threads would keep the process
