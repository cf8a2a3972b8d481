//! The slots of the ring, and the partitions of the tables that are read and written by name.

use std::ffi::CStr;

/// How many slots the ring has, as sql/schema.sql creates them.
pub const SLOTS: i16 = 8;

/// The partitions of `edge_store.request`, by slot.
pub const REQUESTS: [&CStr; SLOTS as usize] =
    [c"request_0", c"request_1", c"request_2", c"request_3", c"request_4", c"request_5", c"request_6", c"request_7"];

/// The partitions of `edge_store.response`, by slot.
pub const RESPONSES: [&CStr; SLOTS as usize] = [
    c"response_0",
    c"response_1",
    c"response_2",
    c"response_3",
    c"response_4",
    c"response_5",
    c"response_6",
    c"response_7",
];

/// The partitions of `edge_store.event`, by slot.
pub const EVENTS: [&CStr; SLOTS as usize] =
    [c"event_0", c"event_1", c"event_2", c"event_3", c"event_4", c"event_5", c"event_6", c"event_7"];

/// The partitions of `edge_store.ws_outgoing`, by slot.
pub const WS_OUTGOING: [&CStr; SLOTS as usize] = [
    c"ws_outgoing_0",
    c"ws_outgoing_1",
    c"ws_outgoing_2",
    c"ws_outgoing_3",
    c"ws_outgoing_4",
    c"ws_outgoing_5",
    c"ws_outgoing_6",
    c"ws_outgoing_7",
];

/// The partitions of `edge_store.ws_incoming`, by slot.
pub const WS_INCOMING: [&CStr; SLOTS as usize] = [
    c"ws_incoming_0",
    c"ws_incoming_1",
    c"ws_incoming_2",
    c"ws_incoming_3",
    c"ws_incoming_4",
    c"ws_incoming_5",
    c"ws_incoming_6",
    c"ws_incoming_7",
];

/// The partitions of `edge_store.ws_outcome`, by slot.
pub const WS_OUTCOMES: [&CStr; SLOTS as usize] = [
    c"ws_outcome_0",
    c"ws_outcome_1",
    c"ws_outcome_2",
    c"ws_outcome_3",
    c"ws_outcome_4",
    c"ws_outcome_5",
    c"ws_outcome_6",
    c"ws_outcome_7",
];

/// The partition of a slot.
pub fn of(partitions: [&'static CStr; SLOTS as usize], slot: i16) -> Option<&'static CStr> {
    usize::try_from(slot).ok().and_then(|slot| partitions.get(slot).copied())
}
