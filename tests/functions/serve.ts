// Serves the functions of this folder as an edge runtime does: POST /functions/v1/NAME goes to NAME.ts. Prints the port.

const functions = ["stream-ai", "stalls", "breaks-off", "byte-by-byte", "morning-digest", "send-letters", "is-shut-down"];
const handlers = new Map<string, { fetch(request: Request): Response | Promise<Response> }>();
for (const name of functions) {
  handlers.set(name, (await import(`./${name}.ts`)).default);
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`listening on ${port}`),
}, (request) => {
  const name = new URL(request.url).pathname.match(/^\/functions\/v1\/([\w-]+)$/)?.[1];
  const handler = name === undefined ? undefined : handlers.get(name);
  return handler?.fetch(request) ?? new Response("no such function", { status: 404 });
});
