// A signalling server like those of many tutorials, which tests replace with icebox. It keeps names
// in a plain object, handles login, offer, answer, candidate and leave as JSON text, and validates
// nothing. Usage: node server.mjs PORT
import { WebSocketServer } from "ws";

const users = {};
const send = (connection, message) => connection.send(JSON.stringify(message));

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]) });
server.on("connection", (connection) => {
	const forward = (data, message) => {
		const peer = users[data.name];
		if (peer) send(peer, message);
		return peer;
	};
	const handlers = {
		login: ({ name }) => {
			const success = !users[name];
			if (success) {
				users[name] = connection;
				connection.name = name;
			}
			send(connection, { type: "login", success });
		},
		offer: (data) => {
			if (forward(data, { type: "offer", offer: data.offer, name: connection.name })) connection.otherName = data.name;
		},
		answer: (data) => {
			if (forward(data, { type: "answer", answer: data.answer })) connection.otherName = data.name;
		},
		candidate: (data) => { forward(data, { type: "candidate", candidate: data.candidate }); },
		leave: (data) => { forward(data, { type: "leave" }); },
	};
	connection.on("message", (text) => {
		const data = JSON.parse(text);
		const handler = handlers[data.type];
		if (handler) handler(data);
		else send(connection, { type: "error", message: `Command not found: ${data.type}` });
	});
	connection.on("close", () => {
		delete users[connection.name];
		if (connection.otherName) forward({ name: connection.otherName }, { type: "leave" });
	});
	connection.send("Hello world");
});
