//! Reading streamed answers: as they come, in batches, or as one text.

use pgrx::datum::Interval;
use pgrx::iter::SetOfIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments::{patience, required, viewer};
use super::follow::Reader;
use super::outcome::awaitable;
use super::views;
use super::watch::Patience;
use crate::domain::stream::path::Path;
use crate::domain::stream::rules::Format;
use crate::domain::stream::speech::Speech;
use crate::error::Error;
use crate::store::calls::{self, Place};
use crate::store::composite::{EventRow, field};
use crate::store::datum::Text;
use crate::store::event_batch::{self, Event};
use crate::store::transaction::under_snapshot;

/// The events of a call as they come.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn tail(
    id: Option<i64>,
    after_seq: default!(Option<i64>, "0"),
    timeout: default!(Option<Interval>, "'60 seconds'"),
) -> Result<SetOfIterator<'static, EventRow>, ErrorReport> {
    let (id, after_seq) = (required(id, "id")?, required(after_seq, "after_seq")?);
    let patience = Patience::of(Some(patience("timeout", timeout)?));
    let mut reader = Reader::begin(id, &awaitable(id, viewer())?, after_seq, patience, "edge.tail");
    Ok(rows(move || match reader.next()? {
        Some(event) => row(id, &event).map(Some),
        None => tell_the_end(id, &reader).map(|()| None),
    }))
}

/// The text of a call's answer as it comes. It is never cut short by a timeout of this function's own: whoever reads a text
/// would take its half for the whole.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn tail_text(
    id: Option<i64>,
    path: default!(Option<Text>, "NULL"),
) -> Result<SetOfIterator<'static, String>, ErrorReport> {
    let id = required(id, "id")?;
    let place = awaitable(id, viewer())?;
    let mut speech = speech(id, &place, path)?;
    let mut reader = Reader::begin(id, &place, 0, Patience::of(None), "edge.tail_text");
    let (mut events, mut texts) = (0_u64, 0_u64);
    Ok(rows(move || {
        while let Some(event) = reader.next()? {
            events += 1;
            if let Some(text) = speech.read(&event.data) {
                texts += 1;
                return Ok(Some(text));
            }
            // Events without text may be many.
            pgrx::check_for_interrupts!();
        }
        if events > 0 && texts == 0 {
            // An answer without a word would look the same.
            pgrx::notice!("no text was found in the {events} events of call {id}; the argument path says where it is");
        }
        tell_the_end(id, &reader).map(|()| None)
    }))
}

/// The events that there are, or the next ones.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn poll(
    id: Option<i64>,
    after_seq: default!(Option<i64>, "0"),
    wait: default!(Option<Interval>, "'5 seconds'"),
    max_events: default!(Option<i32>, "1000"),
) -> Result<SetOfIterator<'static, EventRow>, ErrorReport> {
    let (id, after_seq) = (required(id, "id")?, required(after_seq, "after_seq")?);
    let patience = Patience::of(Some(patience("wait", wait)?));
    let mut left = match required(max_events, "max_events")? {
        most if most > 0 => most,
        other => {
            let (argument, given) = ("max_events", other.to_string());
            return Err(Error::OutOfRange { argument, wanted: "at least 1", given }.into());
        }
    };
    let mut reader = Reader::begin(id, &awaitable(id, viewer())?, after_seq, patience, "edge.poll");
    Ok(rows(move || {
        if left == 0 {
            return Ok(None);
        }
        let Some(event) = reader.next()? else { return Ok(None) };
        reader.wait_no_more();
        left -= 1;
        row(id, &event).map(Some)
    }))
}

/// The text of a call's answer as far as it has come.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn stream_text(id: Option<i64>, path: default!(Option<Text>, "NULL")) -> Result<Option<String>, ErrorReport> {
    let Some(id) = id else { return Ok(None) };
    let viewer = viewer();
    let Some(place) = under_snapshot(|| calls::place(id, viewer, None))? else { return Ok(None) };
    let mut speech = speech(id, &place, path)?;
    let mut reader = Reader::begin(id, &place, 0, Patience::none(), "edge.stream_text");
    let mut text = String::new();
    while let Some(event) = reader.next()? {
        text.extend(speech.read(&event.data));
        pgrx::check_for_interrupts!();
    }
    Ok(Some(text))
}

/// How the text of a call's answer is found.
fn speech(id: i64, place: &Place, path: Option<Text>) -> Result<Speech, Error> {
    let path = path.map(|path| Ok::<_, Error>(Path::parse(&path.read("path")?)?)).transpose()?;
    let format = under_snapshot(|| event_batch::format(id, place.slot))?;
    Ok(Speech::of(format.and_then(|name| Format::parse(&name).ok()), path))
}

/// Rows one by one, as the executor asks for them.
fn rows<T: 'static>(mut next: impl FnMut() -> Result<Option<T>, Error> + 'static) -> SetOfIterator<'static, T> {
    SetOfIterator::new(std::iter::from_fn(move || next().unwrap_or_else(|error| error.raise())))
}

/// A row of `edge.event`. The view `edge.events` makes the same of any event.
fn row(id: i64, event: &Event) -> Result<EventRow, Error> {
    EventRow::of(&[
        field(Some(id)),
        field(Some(event.seq)),
        field(event.kind.as_deref()),
        field(Some(event.data.as_str())),
        field(views::event_json(&event.data)),
        field(event.sse_id.as_deref()),
        field(Some(event.received_at)),
    ])
}

/// Rows and text cannot say whether they are all that was meant to come; whoever sits at a terminal is told when they are not.
fn tell_the_end(id: i64, reader: &Reader) -> Result<(), Error> {
    if let Some(end) = reader.end()?.filter(|end| end.state != "succeeded") {
        match end.error {
            Some(error) => pgrx::notice!("call {id} has {}: {error}", is(end.state)),
            None => pgrx::notice!("call {id} has {}", is(end.state)),
        }
    }
    Ok(())
}

/// A state, after "has".
fn is(state: &str) -> String {
    match state {
        "failed" | "expired" => state.to_owned(),
        other => format!("been {other}"),
    }
}
