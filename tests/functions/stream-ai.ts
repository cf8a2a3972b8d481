// Asks a language model, and hands its stream of events on as it comes: the way such functions are usually written.

const upstream = Deno.env.get("ANTHROPIC_BASE_URL");

export default {
  async fetch(request: Request): Promise<Response> {
    const { prompt } = await request.json();
    const answer = await fetch(`${upstream}/v1/messages`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": "test", "anthropic-version": "2023-06-01" },
      body: JSON.stringify({
        model: "some-model",
        max_tokens: 1024,
        stream: true,
        messages: [{ role: "user", content: prompt }],
      }),
    });
    return new Response(answer.body, {
      status: answer.status,
      headers: { "content-type": answer.headers.get("content-type") ?? "text/event-stream" },
    });
  },
};
