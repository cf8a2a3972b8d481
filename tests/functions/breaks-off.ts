// Says two words and then fails, as a function does whose code throws while it writes.

import { begin, delta, streamed } from "./events.ts";

export default {
  fetch(): Response {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(begin() + delta("one ") + delta("two")));
      },
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        controller.error(new Error("out of order"));
      },
    }, { highWaterMark: 2 });
    return new Response(body, streamed);
  },
};
