// A background job: sends letters one after the other, says how far it is, and goes on there when it is called again. In place of
// a mail server it asks for `/letters/NUMBER`.

import { Job } from "./job.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    const { letters, outbox } = await request.json();
    return new Job(request).run(async (job) => {
      let sent = (job.before as { sent: number } | null)?.sent ?? 0;
      while (sent < letters) {
        await fetch(`${outbox}/letters/${sent + 1}`, { method: "POST" }).then((answer) => answer.body?.cancel());
        sent += 1;
        if (!(await job.heartbeat({ sent }))) throw new Error("somebody else is at it");
      }
      return { sent };
    });
  },
};
