// A stand-in for a platform that runs functions: what its gateway and its runtime answer when things go wrong, as the platform's
// pages on error and status codes describe it. Limits of minutes are milliseconds here. Prints the port.

const IDLE_MS = 100;
const KEY = "sb_secret_right";
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

// An error of the platform's own: the code is in a header and in the body.
function platformError(status: number, code: string, headers: HeadersInit = {}): Response {
  return new Response(JSON.stringify({ code, message: `the platform says ${code}` }), {
    status,
    headers: { "content-type": "application/json", "sb-error-code": code, ...headers },
  });
}

// Cloudflare's, as clients get it that are no browsers.
function cloudflareError(status: number, code: number): Response {
  return new Response(`error code: ${code}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=UTF-8", "server": "cloudflare", "cf-ray": "8f0000000000-FRA" },
  });
}

// An answer whose worker is shut down when half of it is out.
function cutInMidAnswer(half: string, headers: HeadersInit): Response {
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(half)),
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
      controller.error(new Error("WallClockTime"));
    },
  }, { highWaterMark: 2 });
  return new Response(body, { headers });
}

const ok = () => Response.json({ ok: true });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

// The functions, each told how often it was asked before.
const functions: Record<string, (before: number, request: Request) => Response | Promise<Response>> = {
  hello: ok,
  // The gateway catches what a handler throws.
  throws: () => {
    throw new Error("a bug");
  },
  // It says nothing for too long, so the gateway answers in its place.
  sleeps: async () => {
    await pause(IDLE_MS);
    return platformError(504, "IDLE_TIMEOUT");
  },
  limited: (before) => before > 0 ? ok() : platformError(429, "RATE_LIMIT_EXCEEDED", { "retry-after": "1" }),
  // As a function passes on what it caught itself.
  "limited-in-its-body": (before) => before > 0 ? ok() : Response.json({ error: "RateLimitError", retryAfterMs: 1500 }, { status: 429 }),
  "loads-late": (before) => before > 0 ? ok() : platformError(503, "BOOT_ERROR"),
  "outlives-its-worker": (before) => before > 0 ? ok() : cutInMidAnswer('{"ok": ', { "content-type": "application/json" }),
  "streams-past-its-worker": () => cutInMidAnswer("data: one\n\ndata: two\n\n", { "content-type": "text/event-stream" }),
  "behind-a-relay": () => new Response("", { status: 502, headers: { "x-relay-error": "true" } }),
  "says-so-in-its-body": () => Response.json({ code: "BOOT_ERROR", message: "Function failed to start" }, { status: 503 }),
};

const asked = new Map<string, number>();

async function serve(request: Request): Promise<Response> {
  const path = new URL(request.url).pathname.slice("/functions/v1/".length);
  if (path.startsWith("asked/")) {
    return Response.json({ times: asked.get(path.slice("asked/".length)) ?? 0 });
  }
  const before = asked.get(path) ?? 0;
  asked.set(path, before + 1);
  if (!METHODS.includes(request.method)) {
    return new Response("Method Not Allowed", { status: 405 });
  }
  // Whatever error is asked for: error/503/BOOT_ERROR, or error/524 where the status says it all.
  const [kind, status, code] = path.split("/");
  if (kind === "error") {
    return code ? platformError(Number(status), code) : new Response("", { status: Number(status) });
  }
  if (kind === "cloudflare") {
    return cloudflareError(Number(status), Number(code));
  }
  const key = request.headers.get("apikey");
  if (key === null) {
    return platformError(401, "UNAUTHORIZED_NO_AUTH_HEADER");
  }
  if (key !== KEY) {
    return platformError(401, "UNAUTHORIZED_INVALID_JWT_FORMAT");
  }
  const run = functions[path];
  if (run === undefined) {
    return platformError(404, "NOT_FOUND");
  }
  try {
    return await run(before, request);
  } catch {
    return platformError(500, "EDGE_FUNCTION_ERROR");
  }
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`listening on ${port}`),
}, serve);
