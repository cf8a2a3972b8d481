// What the function of a background job reports by, over the REST interface of the database (PostgREST, as of Supabase).

const rest = `${Deno.env.get("SUPABASE_URL")}/rest/v1/rpc`;
const key = Deno.env.get("SUPABASE_ANON_KEY") ?? "";

export class Job {
  #id: number;
  #token: string;
  #progress: unknown;
  static #running = new Set<Job>();

  // What an earlier delivery has said of how far it was.
  readonly before: unknown;

  constructor(request: Request) {
    this.#id = Number(request.headers.get("x-edge-job"));
    this.#token = request.headers.get("x-edge-token") ?? "";
    const progress = request.headers.get("x-edge-progress");
    this.before = progress === null ? null : JSON.parse(progress);
  }

  // Each is false where this delivery no longer counts: then stop, somebody else is at it.
  complete = (result?: unknown) => this.#ends("complete", { result });
  fail = (error: unknown, retry = true) => this.#ends("fail", { error: String(error), retry });
  heartbeat = (progress?: unknown) => this.#say("heartbeat", { progress: this.#progress = progress ?? this.#progress });

  // Answers at once and works on: `return new Job(request).run(async (job) => …)`. What it returns is the result. What cannot
  // be reported is left to the lease.
  run(work: (job: Job) => Promise<unknown>): Response {
    Job.#running.add(this);
    const working = work(this).then(this.complete, (error) => this.fail(error)).catch(console.error);
    (globalThis as any).EdgeRuntime?.waitUntil(working);
    return new Response(null, { status: 202 });
  }

  #ends(what: string, more: object): Promise<boolean> {
    Job.#running.delete(this);
    return this.#say(what, more);
  }

  async #say(what: string, more: object): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      const answer = await fetch(`${rest}/${what}`, {
        method: "POST",
        headers: { "content-type": "application/json", "content-profile": "edge", apikey: key, authorization: `Bearer ${key}` },
        body: JSON.stringify({ id: this.#id, token: this.#token, ...more }),
      }).catch((error) => new Response(String(error), { status: 503 }));
      if (answer.ok) return await answer.json();
      if (answer.status < 500 || tries === 5) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
      await new Promise((wait) => setTimeout(wait, 200 * 2 ** tries));
    }
  }

  static {
    // The platform is about to end the function, working or not: say how far it is, and have it called again at once.
    addEventListener("beforeunload", () => {
      for (const job of Job.#running) {
        job.heartbeat().then(() => job.fail("the function was shut down", true)).catch(console.error);
      }
    });
  }
}
