// A relay, as such edge functions are usually written: whoever opens a websocket is in the room that the URL names, and
// what one says, all others in the room hear. The rooms are in the memory of this one process and die with it.

const rooms = new Map<string, Set<WebSocket>>();

// Platforms end functions after a while; the well-behaved ones say so with 1012. Zero lets them live.
const lifetime = Number(Deno.env.get("LIFETIME_MS") ?? 0);

// What was heard outlives the process here, so that a test can see what reached one that was killed.
const journal = Deno.env.get("JOURNAL");

// Both in PEM form: with them, it speaks TLS.
const [cert, key] = [Deno.env.get("CERTIFICATE"), Deno.env.get("KEY")];

Deno.serve({
  ...(cert !== undefined && key !== undefined ? { cert, key } : {}),
  hostname: "127.0.0.1",
  port: Number(Deno.env.get("PORT") ?? 0),
  onListen: ({ port }) => console.log(`listening on ${port}`),
}, (request) => {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return new Response("expected a websocket", { status: 426, headers: { upgrade: "websocket" } });
  }
  const name = new URL(request.url).searchParams.get("room") ?? "lobby";
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onopen = () => {
    const room = rooms.get(name) ?? new Set();
    rooms.set(name, room.add(socket));
    if (lifetime > 0) {
      setTimeout(() => socket.readyState === WebSocket.OPEN && socket.close(1012, "Service restart"), lifetime);
    }
  };
  socket.onmessage = ({ data }) => {
    if (journal !== undefined && typeof data === "string") {
      Deno.writeTextFileSync(journal, `${data}\n`, { append: true });
    }
    for (const other of rooms.get(name) ?? []) {
      if (other !== socket && other.readyState === WebSocket.OPEN) {
        other.send(data);
      }
    }
  };
  socket.onerror = () => {};
  socket.onclose = () => {
    const room = rooms.get(name);
    room?.delete(socket);
    if (room?.size === 0) {
      rooms.delete(name);
    }
  };
  return response;
});
