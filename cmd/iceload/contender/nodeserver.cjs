// The signalling server that icebox is compared with. It implements the classic protocol with
// Node.js and ws, as a reader of a tutorial would write it and put it into production, without
// logging.
//
// Usage: node nodeserver.cjs ADDRESS PORT TLS-PORT CERTIFICATE KEY. NODE_PATH must name the
// directory of node modules that has ws.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const [address, port, securePort, certificate, key] = process.argv.slice(2);
const online = new Map();

function send(socket, message) {
	socket.send(JSON.stringify(message));
}

function handle(socket, message) {
	const peer = online.get(message.name);
	switch (message.type) {
	case "login":
		if (peer || !message.name) {
			send(socket, { type: "login", success: false });
			return;
		}
		online.set(message.name, socket);
		socket.user = message.name;
		send(socket, { type: "login", success: true });
		return;
	case "offer":
		if (peer) {
			socket.partner = message.name;
			send(peer, { type: "offer", offer: message.offer, name: socket.user });
		}
		return;
	case "answer":
		if (peer) {
			socket.partner = message.name;
			send(peer, { type: "answer", answer: message.answer });
		}
		return;
	case "candidate":
		if (peer) send(peer, { type: "candidate", candidate: message.candidate });
		return;
	case "leave":
		if (peer) {
			peer.partner = null;
			send(peer, { type: "leave" });
		}
		return;
	default:
		send(socket, { type: "error", message: "Command not found: " + message.type });
	}
}

function signOut(socket) {
	if (!socket.user) return;
	online.delete(socket.user);
	const partner = socket.partner && online.get(socket.partner);
	if (partner) {
		partner.partner = null;
		send(partner, { type: "leave" });
	}
}

function serve(server, listenPort) {
	new WebSocketServer({ server }).on("connection", (socket) => {
		socket.on("message", (text) => {
			let message;
			try {
				message = JSON.parse(text);
			} catch {
				message = {};
			}
			handle(socket, message);
		});
		socket.on("close", () => signOut(socket));
		socket.on("error", () => socket.terminate());
	});
	server.listen({ host: address, port: Number(listenPort), backlog: 4096 });
}

serve(http.createServer(), port);
serve(https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }), securePort);
