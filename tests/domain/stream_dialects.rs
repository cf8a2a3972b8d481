//! What the events of language models mean.

use pg_edge::domain::stream::dialect::Dialect;
use pg_edge::domain::stream::follower::{Ended, Follower};
use pg_edge::domain::stream::json;
use serde_json::{Value, json};

/// Follows a stream of data lines; gives its text, and the follower.
fn follow(stream: &[&str]) -> (String, Follower) {
    let mut follower = Follower::default();
    let text = stream.iter().filter_map(|data| {
        let json = json::read(data);
        follower.read(data, json.as_ref())
    });
    (text.collect(), follower)
}

const ANTHROPIC: [&str; 7] = [
    r#"{"type":"message_start","message":{"role":"assistant","usage":{"input_tokens":25,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":", Ada"}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
    r#"{"type":"message_stop"}"#,
];

#[test]
fn each_dialect_has_its_text_its_last_event_and_its_count_of_tokens() {
    let openai_chat = [
        r#"{"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"object":"chat.completion.chunk","choices":[{"delta":{"content":"Hello"}}]}"#,
        r#"{"object":"chat.completion.chunk","choices":[{"delta":{"content":", Ada"}}]}"#,
        r#"{"object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":9}}"#,
        "[DONE]",
    ];
    let openai_responses = [
        r#"{"type":"response.created","response":{"usage":null}}"#,
        r#"{"type":"response.output_text.delta","delta":"Hello"}"#,
        r#"{"type":"response.output_text.delta","delta":", Ada"}"#,
        r#"{"type":"response.completed","response":{"usage":{"total_tokens":9}}}"#,
    ];
    let gemini = [
        r#"{"candidates":[{"content":{"parts":[{"text":"thinking","thought":true}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"Hel"},{"text":"lo"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":", Ada"}]},"finishReason":"STOP"}],"usageMetadata":{"totalTokenCount":9}}"#,
    ];
    let ollama = [
        r#"{"message":{"role":"assistant","content":"Hello"},"done":false}"#,
        r#"{"message":{"role":"assistant","content":", Ada"},"done":false}"#,
        r#"{"message":{"role":"assistant","content":""},"done":true,"eval_count":4,"prompt_eval_count":5}"#,
    ];
    for (stream, dialect, usage) in [
        (&ANTHROPIC[..], Dialect::Anthropic, json!({"input_tokens": 25, "output_tokens": 15})),
        (&openai_chat[..], Dialect::OpenAiChat, json!({"total_tokens": 9})),
        (&openai_responses[..], Dialect::OpenAiResponses, json!({"total_tokens": 9})),
        (&gemini[..], Dialect::Gemini, json!({"totalTokenCount": 9})),
        (&ollama[..], Dialect::Ollama, json!({"prompt_eval_count": 5, "eval_count": 4})),
    ] {
        let (text, follower) = follow(stream);
        assert_eq!(text, "Hello, Ada", "{dialect:?}");
        assert_eq!(follower.dialect(), Some(dialect));
        assert_eq!(follower.ended(), Ended::Complete, "{dialect:?}");
        assert_eq!(follower.usage().cloned().map(Value::Object), Some(usage), "{dialect:?}");
        let (_, cut) = follow(&stream[..stream.len() - 1]);
        let why = format!("the stream ended without the event that ends one of {}", dialect.name());
        assert_eq!(cut.ended(), Ended::Truncated(why));
    }
}

#[test]
fn an_error_in_the_stream_is_its_end() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let begun = [&ANTHROPIC[..4], &[overloaded]].concat();
    let and_goes_on = [&begun[..], &ANTHROPIC[6..]].concat();
    for (stream, said) in [
        (&[overloaded][..], "overloaded_error: Overloaded"),
        (&begun[..], "overloaded_error: Overloaded"),
        (&and_goes_on[..], "overloaded_error: Overloaded"),
        (&[r#"{"error":{"message":"Rate limit","type":"requests","code":null}}"#][..], "requests: Rate limit"),
        (
            &[r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"Sorry"}}}"#][..],
            "server_error: Sorry",
        ),
        (&[r#"{"type":"error","code":"ERR","message":"Wrong","param":null}"#][..], "ERR: Wrong"),
        (&[r#"{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}"#][..], "UNAVAILABLE: Busy"),
        (
            &[r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7}}"#][..],
            "the prompt was blocked: SAFETY",
        ),
        (&[r#"{"promptFeedback":{"blockReason":"OTHER"}}"#][..], "the prompt was blocked: OTHER"),
        (&[r#"{"message":{},"done":false}"#, r#"{"error":"a\u0000b"}"#][..], "a\u{fffd}b"),
        (&[r#"{"error":{"message":"\u0000"}}"#][..], "\u{fffd}"),
    ] {
        let (_, follower) = follow(stream);
        assert_eq!(follower.ended(), Ended::Failed(said.to_owned()), "{stream:?}");
    }
}

#[test]
fn a_stream_of_no_dialect_is_complete_when_it_ends_and_has_no_text() {
    for stream in
        [&["tick", "tock"][..], &[r#"{"temperature":21.5}"#], &["{not json"], &["7", "null", "[]", "\"x\""], &[]]
    {
        let (text, follower) = follow(stream);
        assert_eq!((text.as_str(), follower.ended()), ("", Ended::Complete), "{stream:?}");
        assert_eq!(follower.usage(), None);
    }
}

#[test]
fn malformed_json_within_a_dialect_is_passed_over() {
    let broken = [&ANTHROPIC[..4], &["{\"type\":\"content_block_de"], &ANTHROPIC[4..]].concat();
    let (text, follower) = follow(&broken);
    assert_eq!((text.as_str(), follower.ended()), ("Hello, Ada", Ended::Complete));
}

#[test]
fn what_is_only_noted_ends_and_costs_the_same() {
    let talkative = r#"{"type":"content_block_delta","delta":{"text":"\"usage\" and \"error\" are words"}}"#;
    let openai = [
        r#"{"choices":[{"delta":{"content":"Hello"}}],"usage":null}"#,
        r#"{"choices":[{"delta":{"content":"[DONE]"}}]}"#,
        r#"{"choices":[],"usage":{"total_tokens":9}}"#,
        "[DONE]",
    ];
    let responses = [
        r#"{"type":"response.created","response":{"usage":null}}"#,
        r#"{"type":"response.completed","response":{"usage":{"total_tokens":9}}}"#,
    ];
    let failing = [
        r#"{"type":"response.created","response":{"usage":null}}"#,
        r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"Sorry"}}}"#,
    ];
    let gemini = [
        r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}]}}]}"#,
        r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"totalTokenCount":9}}"#,
    ];
    let ollama =
        [r#"{"message":{"content":"Hello"},"done":false}"#, r#"{"message":{"content":""},"done":true,"eval_count":4}"#];
    let words = [&ANTHROPIC[..3], &[talkative], &ANTHROPIC[3..]].concat();
    let blocked = [
        r#"{"usageMetadata":{"promptTokenCount":7}}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"responseId":"x"}"#,
    ];
    let indented =
        [" {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}", "\t{\"choices\":[],\"usage\":{\"total_tokens\":9}}"];
    let halved = [r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#, "[DONE]"];
    let plain = [&words[..], &openai, &responses, &failing, &gemini, &ollama, &["tick", "[DONE]"], &[]];
    for stream in plain.into_iter().chain([&blocked[..], &indented, &halved]) {
        for length in 0..=stream.len() {
            let (_, read) = follow(&stream[..length]);
            let mut noted = Follower::default();
            stream[..length].iter().for_each(|data| noted.note(data));
            assert_eq!(noted.dialect(), read.dialect(), "{:?}", &stream[..length]);
            assert_eq!((noted.ended(), noted.usage()), (read.ended(), read.usage()), "{:?}", &stream[..length]);
        }
    }
}

#[test]
fn a_dialect_that_does_not_show_soon_is_not_waited_for_for_ever() {
    for (before, dialect, text) in [(10, Some(Dialect::Anthropic), "Hello, Ada"), (1_000, None, "")] {
        let mut follower = Follower::default();
        (0..before).for_each(|_| follower.note("{}"));
        ANTHROPIC.iter().for_each(|data| follower.note(data));
        assert_eq!(follower.dialect(), dialect, "after {before} events");
        assert_eq!(follower.ended(), Ended::Complete);
        // Whoever reads the text sees it as the call does.
        let (said, read) = follow(&[vec!["{}"; before], ANTHROPIC.to_vec()].concat());
        assert_eq!((read.dialect(), said.as_str()), (dialect, text), "after {before} events");
    }
}

#[test]
fn an_error_of_any_length_is_told_in_a_few_kilobytes() {
    let error = format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(500_000));
    let (_, follower) = follow(&[&error]);
    let Ended::Failed(why) = follower.ended() else { panic!("{:?}", follower.ended()) };
    assert_eq!(why, "é".repeat(1_024) + "…");
}

#[test]
fn what_is_too_much_to_be_a_count_of_tokens_is_none() {
    let counts = |names: usize| -> Value {
        (0..names).map(|name| (format!("count_{name}"), json!(1))).collect::<serde_json::Map<_, _>>().into()
    };
    let usage = |usage: Value| json!({"type": "message_delta", "usage": usage}).to_string();
    let (first, wanted) = (usage(json!({"output_tokens": 15})), json!({"output_tokens": 15}));
    for (second, wanted) in [
        (usage(counts(60_000)), wanted.clone()),
        (usage(counts(64)), wanted.clone()),
        (usage(json!({"text": "x".repeat(5_000)})), wanted.clone()),
        (usage(json!({"nested": {"many": counts(1_000)}})), wanted.clone()),
        (usage(json!({"nul": "\0"})), wanted.clone()),
        (usage(json!({"\0": 1})), wanted.clone()),
        (usage(json!({"output_tokens": 16})), json!({"output_tokens": 16})),
        (usage(json!({"details": {"a": 1}})), json!({"output_tokens": 15, "details": {"a": 1}})),
    ] {
        let (_, follower) = follow(&[&first, &second]);
        assert_eq!(follower.usage().cloned().map(Value::Object), Some(wanted), "{second:.80}");
    }
    let many: Vec<String> = (0..1_000).map(|number| usage(json!({(number.to_string()): 1}))).collect();
    let (_, follower) = follow(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(follower.usage().unwrap().len(), 64);
}
