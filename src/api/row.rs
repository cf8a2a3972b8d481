//! A row of `edge.response` for a call that has ended. The statement in `store::calls` makes the same of any call.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::views;
use crate::error::Error;
use crate::store::calls::{Ended, Place};
use crate::store::composite::{ResponseRow, field};

/// In microseconds.
const DAY: i64 = 86_400_000_000;

/// The fields of a call's row, in the type's order.
pub fn of_ended(id: i64, place: &Place, ended: Ended) -> Result<ResponseRow, Error> {
    let Ended { state, status_code, headers, body, error_class, error, attempts, started_at, finished_at } = ended;
    let (headers, body) = (headers.as_deref(), body.as_deref());
    let duration = started_at.map(|started_at| micros(finished_at) - micros(started_at)).and_then(interval);
    ResponseRow::of(&[
        field(Some(id)),
        field(Some(state)),
        field(status_code),
        field(headers.and_then(views::headers_json)),
        field(headers.and_then(views::content_type)),
        field(views::body_text(headers, body)),
        field(body),
        field(views::body_json(headers, body)),
        field(error_class),
        field(error),
        field(Some(attempts)),
        field(Some(place.queued_at)),
        field(started_at),
        field(Some(finished_at)),
        field(duration),
    ])
}

/// As Postgres subtracts timestamps: whole days apart.
fn interval(micros: i64) -> Option<Interval> {
    Interval::new(0, i32::try_from(micros / DAY).ok()?, micros % DAY).ok()
}

fn micros(at: TimestampWithTimeZone) -> i64 {
    at.into_inner()
}
