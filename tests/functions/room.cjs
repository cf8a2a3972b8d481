// The relay of room.ts on another stack: Node with the package ws.

const { appendFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer, WebSocket } = require("ws");

const rooms = new Map();
const lifetime = Number(process.env.LIFETIME_MS ?? 0);
const journal = process.env.JOURNAL;

const { CERTIFICATE: cert, KEY: key } = process.env;
const server = cert === undefined ? http.createServer() : https.createServer({ cert, key });
server.on("request", (_request, response) => {
  response.writeHead(426, { upgrade: "websocket" }).end("expected a websocket");
});

new WebSocketServer({ server }).on("connection", (socket, request) => {
  const name = new URL(request.url, "http://localhost").searchParams.get("room") ?? "lobby";
  const room = rooms.get(name) ?? new Set();
  rooms.set(name, room.add(socket));
  if (lifetime > 0) {
    setTimeout(() => socket.close(1012, "Service restart"), lifetime);
  }
  socket.on("message", (data, binary) => {
    if (journal !== undefined && !binary) {
      appendFileSync(journal, `${data}\n`);
    }
    for (const other of room) {
      if (other !== socket && other.readyState === WebSocket.OPEN) {
        other.send(data, { binary });
      }
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    room.delete(socket);
    if (room.size === 0) {
      rooms.delete(name);
    }
  });
});

server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
