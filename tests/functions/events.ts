// The events of a language model's answer, as Anthropic sends them.

export function event(type: string, more: Record<string, unknown> = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
}

export function begin(): string {
  return event("message_start", { message: { role: "assistant", usage: { input_tokens: 3, output_tokens: 1 } } });
}

export function delta(text: string): string {
  return event("content_block_delta", { index: 0, delta: { type: "text_delta", text } });
}

export function end(): string {
  return event("message_stop");
}

export const streamed = { headers: { "content-type": "text/event-stream" } };
