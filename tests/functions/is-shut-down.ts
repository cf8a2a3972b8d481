// A background job whose function is ended by its platform at its first delivery, as soon as it has answered; at the second it
// is done at once.

import { Job } from "./job.ts";

export default {
  fetch(request: Request): Response {
    return new Job(request).run(async (job) => {
      if (job.before !== null) return { went_on_after: job.before };
      await job.heartbeat({ pages: 3 });
      dispatchEvent(new Event("beforeunload"));
      await new Promise(() => {});
    });
  },
};
