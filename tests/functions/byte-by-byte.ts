// Says something with characters of every length, and writes each byte by itself.

import { begin, delta, end, streamed } from "./events.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    const { words } = await request.json();
    const said = begin() + words.map(delta).join("") + end();
    const bytes = new TextEncoder().encode(said.replaceAll("\n", "\r\n"));
    let next = 0;
    const body = new ReadableStream({
      async pull(controller) {
        if (next === bytes.length) {
          controller.close();
          return;
        }
        controller.enqueue(bytes.slice(next, next + 1));
        next += 1;
        // Otherwise the runtime would write many of them at once.
        await new Promise((resolve) => setTimeout(resolve, 0));
      },
    }, { highWaterMark: 0 });
    return new Response(body, streamed);
  },
};
