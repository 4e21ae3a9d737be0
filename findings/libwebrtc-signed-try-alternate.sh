#!/usr/bin/env bash
# libwebrtc cannot follow a 300 (Try Alternate) that answers a signed Allocate.
#
# Software: @roamhq/wrtc 0.10.0 from npm, which is libwebrtc for Node.
#
# A TURN server may answer an Allocate with 300 and ALTERNATE-SERVER (RFC 8489 section 10). A server that authenticates
# first, as RFC 8656 section 7.2 suggests, sends the 300 in response to the second Allocate, which is signed. One expects
# the client to start again at the other server: an unsigned Allocate, a 401 with the nonce of that server, a signed one.
#
# Seen: the first Allocate to the other server is signed with the realm and nonce of the first server. The other server
# answers 438 (Stale Nonce) with a nonce of its own, as it must. The client then sends nothing more to it, and gathering
# ends without a relay candidate. When the 300 answers the first, unsigned Allocate instead, the client gets its relay
# candidate from the other server.
#
# So a server that wants to move WebRTC clients elsewhere has to answer the unsigned Allocate.
#
# The script runs two small TURN servers on an address of this host, prints what they receive, and fails if that changes.
# The address must not be a loopback one, because libwebrtc ignores an ALTERNATE-SERVER on loopback.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund @roamhq/wrtc@0.10.0 >/dev/null

cat >servers.mjs <<'JS'
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import os from 'node:os';
import wrtc from '@roamhq/wrtc';

const host = Object.values(os.networkInterfaces()).flat().find((a) => a.family === 'IPv4' && !a.internal)?.address;
if (!host) throw new Error('this host has only loopback addresses');
const user = 'user', password = 'password', cookie = 0x2112a442;
const attributes = { username: 6, integrity: 8, error: 9, realm: 0x14, nonce: 0x15, relayed: 0x16, mapped: 0x20, alternate: 0x8023, lifetime: 0x0d };

function attribute(type, value) {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

function address(ip, port, xor) {
  const value = Buffer.from([0, 1, 0, 0, ...ip.split('.').map(Number)]);
  value.writeUInt16BE(port ^ (xor ? cookie >>> 16 : 0), 2);
  value.writeUInt32BE((value.readUInt32BE(4) ^ (xor ? cookie : 0)) >>> 0, 4);
  return value;
}

const error = (code) => attribute(attributes.error, Buffer.from([0, 0, Math.floor(code / 100), code % 100]));

function message(type, id, list, key) {
  let body = Buffer.concat(list);
  const header = (length) => {
    const h = Buffer.alloc(20);
    h.writeUInt16BE(type);
    h.writeUInt16BE(length, 2);
    h.writeUInt32BE(cookie, 4);
    id.copy(h, 8);
    return h;
  };
  if (key) {
    const mac = crypto.createHmac('sha1', key).update(Buffer.concat([header(body.length + 24), body])).digest();
    body = Buffer.concat([body, attribute(attributes.integrity, mac)]);
  }
  return Buffer.concat([header(body.length), body]);
}

function parse(m) {
  const found = {};
  for (let at = 20; at + 4 <= m.length; ) {
    const length = m.readUInt16BE(at + 2);
    found[m.readUInt16BE(at)] ??= m.subarray(at + 4, at + 4 + length);
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return found;
}

// server answers Allocates by answer(signed, nonce), which returns a code, and logs each one.
async function server(name, log, answer, other) {
  const socket = dgram.createSocket('udp4');
  await new Promise((bound) => socket.bind(0, host, bound));
  const key = crypto.createHash('md5').update(`${user}:${name}:${password}`).digest();
  socket.on('message', (m, from) => {
    const method = m.readUInt16BE(0), id = m.subarray(8, 20), got = parse(m);
    if (method !== 3) return void socket.send(message(0x0104, id, [attribute(attributes.lifetime, Buffer.alloc(4))], key), from.port, from.address);
    const nonce = got[attributes.nonce]?.toString();
    const code = answer(Boolean(got[attributes.integrity]), nonce);
    log.push(`${name}: ${got[attributes.integrity] ? `Allocate signed with ${nonce}` : 'Allocate unsigned'}, answered ${code}`);
    const challenge = [attribute(attributes.realm, Buffer.from(name)), attribute(attributes.nonce, Buffer.from(`nonce of ${name}`))];
    const list = {
      401: () => message(0x0113, id, [error(401), ...challenge]),
      438: () => message(0x0113, id, [error(438), ...challenge]),
      300: () => message(0x0113, id, [error(300), attribute(attributes.alternate, address(host, other(), false))], got[attributes.integrity] && key),
      200: () => message(0x0103, id, [
        attribute(attributes.relayed, address('192.0.2.1', 50000, true)),
        attribute(attributes.mapped, address(host, from.port, true)),
        attribute(attributes.lifetime, Buffer.from([0, 0, 2, 88])),
      ], key),
    };
    socket.send(list[code](), from.port, from.address);
  });
  return socket;
}

// run gathers with a first server that redirects as told, and returns what happened.
async function run(redirectUnsigned) {
  const log = [];
  let second;
  const first = await server('first', log, (signed) => (signed || redirectUnsigned ? 300 : 401), () => second.address().port);
  second = await server('second', log, (signed, nonce) => (!signed ? 401 : nonce === 'nonce of second' ? 200 : 438));
  const peer = new wrtc.RTCPeerConnection({
    iceServers: [{ urls: `turn:${host}:${first.address().port}?transport=udp`, username: user, credential: password }],
    iceTransportPolicy: 'relay',
  });
  const gathered = new Promise((done) => {
    peer.onicecandidate = ({ candidate }) => { if (!candidate) done(); else if (candidate.candidate) log.push(`candidate ${candidate.candidate.split(' ')[4]}`); };
    setTimeout(done, 15_000);
  });
  peer.createDataChannel('');
  await peer.setLocalDescription(await peer.createOffer());
  await gathered;
  peer.close();
  first.close();
  second.close();
  return [...new Set(log)].join('\n');
}

const signed = await run(false), unsigned = await run(true);
process.stdout.write(`300 to the signed Allocate:\n${signed}\n\n300 to the unsigned Allocate:\n${unsigned}\n`, () => process.exit());
JS

node servers.mjs | tee seen
cat >expected <<'TEXT'
300 to the signed Allocate:
first: Allocate unsigned, answered 401
first: Allocate signed with nonce of first, answered 300
second: Allocate signed with nonce of first, answered 438

300 to the unsigned Allocate:
first: Allocate unsigned, answered 300
second: Allocate unsigned, answered 401
second: Allocate signed with nonce of second, answered 200
candidate 192.0.2.1
TEXT
diff expected seen && echo "as described"
