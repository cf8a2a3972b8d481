// Says two words and then nothing more, for ever.

import { begin, delta, streamed } from "./events.ts";

export default {
  fetch(): Response {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(begin() + delta("one ") + delta("two")));
      },
    });
    return new Response(body, streamed);
  },
};
