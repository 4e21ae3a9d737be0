// The signalling server that icebox is measured against: the classic protocol on Node and ws, as a tutorial's reader would write
// it and put into production, without logs. Usage: node nodeserver.cjs ADDRESS PORT TLS-PORT CERTIFICATE KEY; modules come from NODE_PATH.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const [address, port, securePort, certificate, key] = process.argv.slice(2);
const online = new Map();

function tell(socket, message) {
	socket.send(JSON.stringify(message));
}

function receive(socket, message) {
	const peer = online.get(message.name);
	switch (message.type) {
	case "login":
		if (peer || !message.name) {
			tell(socket, { type: "login", success: false });
			return;
		}
		online.set(message.name, socket);
		socket.user = message.name;
		tell(socket, { type: "login", success: true });
		return;
	case "offer":
		if (peer) {
			socket.partner = message.name;
			tell(peer, { type: "offer", offer: message.offer, name: socket.user });
		}
		return;
	case "answer":
		if (peer) {
			socket.partner = message.name;
			tell(peer, { type: "answer", answer: message.answer });
		}
		return;
	case "candidate":
		if (peer) tell(peer, { type: "candidate", candidate: message.candidate });
		return;
	case "leave":
		if (peer) {
			peer.partner = null;
			tell(peer, { type: "leave" });
		}
		return;
	default:
		tell(socket, { type: "error", message: "Command not found: " + message.type });
	}
}

function leave(socket) {
	if (!socket.user) return;
	online.delete(socket.user);
	const partner = socket.partner && online.get(socket.partner);
	if (partner) {
		partner.partner = null;
		tell(partner, { type: "leave" });
	}
}

function serve(server, on) {
	new WebSocketServer({ server }).on("connection", (socket) => {
		socket.on("message", (text) => {
			let message;
			try {
				message = JSON.parse(text);
			} catch {
				message = {};
			}
			receive(socket, message);
		});
		socket.on("close", () => leave(socket));
		socket.on("error", () => socket.terminate());
	});
	server.listen({ host: address, port: Number(on), backlog: 4096 });
}

serve(http.createServer(), port);
serve(https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }), securePort);
