//! What the events of a language model's stream say: which part is text, which one is the last, and which is an error
//! although the answer began with status 200.
//!
//! Sources: the vendors' references of their streaming APIs (Anthropic messages, OpenAI chat completions and responses,
//! Google generateContent, Ollama chat and generate), as of November 2026. Event types that are not known mean nothing, as
//! all of them ask for.

use serde_json::Value;

use crate::domain::text::beginning;

/// Whose events these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Messages of Anthropic.
    Anthropic,
    /// Chat completions of OpenAI, which many others speak too.
    OpenAiChat,
    /// Responses of OpenAI.
    OpenAiResponses,
    /// Google's generateContent.
    Gemini,
    /// Ollama's chat and generate.
    Ollama,
}

/// What one event says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meaning {
    /// The next piece of the text.
    pub text: Option<String>,
    /// That the stream ends here, or is complete up to here.
    pub end: Option<End>,
    /// Tokens used, as the vendor counts them. Later counts take the place of earlier ones.
    pub usage: Option<Value>,
}

/// How a stream says that it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// In good order.
    Complete,
    /// With an error, in a sentence of the vendor's.
    Failed(String),
}

/// So many bytes of an error are kept.
const LONGEST_SENTENCE: usize = 2 * 1024;

/// What chat completions end with, which is no JSON.
pub(super) const DONE: &str = "[DONE]";

impl Dialect {
    /// Whose event this is, where it is one that tells.
    pub fn recognise(data: &str, json: Option<&Value>) -> Option<Self> {
        let Some(json) = json else { return (data == DONE).then_some(Self::OpenAiChat) };
        let kind = json["type"].as_str().unwrap_or_default();
        let has_error = json["error"].is_object();
        match kind {
            _ if kind.starts_with("response.") => Some(Self::OpenAiResponses),
            "message_start" | "message_delta" | "message_stop" => Some(Self::Anthropic),
            _ if kind.starts_with("content_block_") => Some(Self::Anthropic),
            "error" if has_error => Some(Self::Anthropic),
            "error" if json["message"].is_string() => Some(Self::OpenAiResponses),
            _ if json["choices"].is_array() => Some(Self::OpenAiChat),
            _ if json["candidates"].is_array() || json["usageMetadata"].is_object() => Some(Self::Gemini),
            _ if json["promptFeedback"].is_object() => Some(Self::Gemini),
            _ if has_error && json["error"]["status"].is_string() => Some(Self::Gemini),
            _ if has_error => Some(Self::OpenAiChat),
            _ if json["done"].is_boolean() && (json["message"].is_object() || json["response"].is_string()) => {
                Some(Self::Ollama)
            }
            _ => None,
        }
    }

    /// The dialect's name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// Words of which an event holds one if it says more than a piece of text. It may hold one and not say more, as a text
    /// about these words does.
    pub(super) fn telling_words(self) -> &'static [&'static str] {
        match self {
            Self::Anthropic => &["\"usage\"", "message_stop", "\"error\""],
            Self::OpenAiChat => &["\"usage\"", "\"error\"", DONE],
            Self::OpenAiResponses => {
                &["response.completed", "response.incomplete", "response.failed", "\"error\"", "\"usage\""]
            }
            Self::Gemini => &["finishReason", "usageMetadata", "blockReason", "\"error\""],
            Self::Ollama => &["eval_count", "\"error\"", "true"],
        }
    }

    /// What an event says in this dialect.
    pub fn read(self, data: &str, json: Option<&Value>) -> Meaning {
        let Some(json) = json else {
            let end = (self == Self::OpenAiChat && data == DONE).then_some(End::Complete);
            return Meaning { end, ..Meaning::default() };
        };
        match self {
            Self::Anthropic => anthropic(json),
            Self::OpenAiChat => openai_chat(json),
            Self::OpenAiResponses => openai_responses(json),
            Self::Gemini => gemini(json),
            Self::Ollama => ollama(json),
        }
    }
}

fn anthropic(json: &Value) -> Meaning {
    let usage = match json["type"].as_str() {
        Some("message_start") => present(&json["message"]["usage"]),
        _ => present(&json["usage"]),
    };
    let end = match json["type"].as_str() {
        Some("message_stop") => Some(End::Complete),
        Some("error") => Some(failed(&json["error"])),
        _ => None,
    };
    Meaning { text: text(&json["delta"]["text"]), end, usage }
}

fn openai_chat(json: &Value) -> Meaning {
    let end = json["error"].is_object().then(|| failed(&json["error"]));
    Meaning { text: text(&json["choices"][0]["delta"]["content"]), end, usage: present(&json["usage"]) }
}

fn openai_responses(json: &Value) -> Meaning {
    let (mut said, mut end) = (None, None);
    match json["type"].as_str() {
        Some("response.output_text.delta") => said = text(&json["delta"]),
        // Cut short by a limit that the caller set: all that will come has come.
        Some("response.completed" | "response.incomplete") => end = Some(End::Complete),
        Some("response.failed") => end = Some(failed(&json["response"]["error"])),
        Some("error") => end = Some(failed(json)),
        _ => {}
    }
    Meaning { text: said, end, usage: present(&json["response"]["usage"]) }
}

fn gemini(json: &Value) -> Meaning {
    let candidate = &json["candidates"][0];
    let parts = candidate["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let spoken = parts.iter().filter(|part| part["thought"] != true);
    let said: String = spoken.filter_map(|part| part["text"].as_str()).collect();
    let end = match (&json["error"], json["promptFeedback"]["blockReason"].as_str()) {
        (error @ Value::Object(_), _) => Some(failed(error)),
        // Nothing follows: the model was never asked.
        (_, Some(reason)) => Some(told(&format!("the prompt was blocked: {reason}"))),
        _ => candidate["finishReason"].is_string().then_some(End::Complete),
    };
    Meaning { text: (!said.is_empty()).then_some(said), end, usage: present(&json["usageMetadata"]) }
}

fn ollama(json: &Value) -> Meaning {
    let end = match &json["error"] {
        Value::String(error) => Some(told(error)),
        _ => (json["done"] == true).then_some(End::Complete),
    };
    let counts = ["prompt_eval_count", "eval_count"];
    let counts = counts.into_iter().filter_map(|name| Some((name.to_owned(), json.get(name)?.clone())));
    let usage: serde_json::Map<_, _> = counts.collect();
    Meaning {
        text: text(&json["message"]["content"]).or_else(|| text(&json["response"])),
        end,
        usage: (!usage.is_empty()).then_some(Value::Object(usage)),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn present(value: &Value) -> Option<Value> {
    value.is_object().then(|| value.clone())
}

/// An error as its vendor tells it: its type or code where it has one, and its message.
fn failed(error: &Value) -> End {
    let message = error["message"].as_str().unwrap_or("the stream reported an error and did not say which");
    let classes = ["type", "status", "code"].into_iter().filter_map(|name| error[name].as_str());
    // An event of type "error" says nothing by that.
    let class = classes.into_iter().find(|class| *class != "error");
    class.map_or_else(|| told(message), |class| told(&format!("{class}: {message}")))
}

/// A failure in the peer's words, of which the beginning says enough: they end up in a row and in a notice.
fn told(sentence: &str) -> End {
    End::Failed(beginning(sentence, LONGEST_SENTENCE))
}
