//! From a call that was queued to the attempt that the engine makes: its endpoint as it is now, its key, and within what limits.
//!
//! Runs on the main thread of a dispatcher.

use std::time::SystemTime;

use super::jobs::Handover;
use super::send::KeptBack;
use super::settle::Unsent;
use super::turn::Dispatcher;
use crate::domain::attempt::{Attempt, Limits, Route};
use crate::domain::backlog::LaneName;
use crate::domain::endpoint::{self, Endpoint};
use crate::domain::header;
use crate::domain::request::Request;
use crate::domain::retry::is_too_old;
use crate::domain::stream::rules::{Format, StreamRules};
use crate::guc::Settings;
use crate::store::callbacks::FOR_COLLECTOR;
use crate::store::scan::Queued;

/// As many as browsers follow.
const REDIRECTS_FOR_NET: u8 = 20;

/// By which a peer knows a call again, whichever attempt of it comes.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl Dispatcher {
    /// The next attempt of a call, as its endpoint is now.
    pub(super) fn attempt(
        &self,
        lane: &LaneName,
        queued: &Queued,
        mut request: Request,
        handover: Option<&Handover>,
        now: SystemTime,
    ) -> Result<Attempt, KeptBack> {
        if is_too_old(self.endpoints.retry(lane), queued.born_at(), now) {
            return Err(Unsent::Expired.into());
        }
        let endpoint = match &queued.endpoint {
            Some(name) => Some(self.endpoints.find(name).ok_or_else(|| super::endpoints::gone(name))?),
            None => None,
        };
        if let Some(endpoint) = endpoint {
            // The base may have changed while the call waited.
            request.url =
                endpoint::resolve(&endpoint.base, &queued.url).map_err(|error| Unsent::Refused(error.to_string()))?;
        }
        let endpoint = endpoint.map(AsRef::as_ref);
        self.complete(queued, endpoint, &mut request)?;
        self.add_key(queued, &mut request);
        if let Some(handover) = handover {
            handover.add_headers(&mut request.headers);
        }
        self.sign(queued, endpoint, &mut request, now)?;
        Ok(Attempt {
            call: queued.id,
            number: queued.tries + 1,
            request,
            limits: self.limits(queued, endpoint),
            route: Route {
                redirects: endpoint.map_or_else(|| redirects(queued), |endpoint| endpoint.max_redirects),
                identity: self.identity(endpoint)?,
            },
            stream: queued.stream.map(|format| self.stream_rules(format, endpoint)),
        })
    }

    /// Adds the idempotency key. A user's own header wins, and a key that was checked when it was queued is a valid value.
    fn add_key(&self, queued: &Queued, request: &mut Request) {
        if request.headers.contains_key(IDEMPOTENCY_KEY) {
            return;
        }
        let made_up;
        let key = match &queued.idempotency_key {
            Some(key) => key.as_str(),
            None => {
                made_up = format!("{}-{}", self.database_id, queued.id);
                made_up.as_str()
            }
        };
        if let Ok(key) = header::value(IDEMPOTENCY_KEY, key) {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
    }

    fn stream_rules(&self, format: Format, endpoint: Option<&Endpoint>) -> StreamRules {
        let Settings { max_event_bytes, max_stream_bytes, stream_idle_timeout, .. } = self.settings;
        let idle = endpoint.map_or(stream_idle_timeout, |endpoint| endpoint.idle(stream_idle_timeout));
        StreamRules { format, max_event_bytes, max_total_bytes: max_stream_bytes, idle }
    }

    fn limits(&self, queued: &Queued, endpoint: Option<&Endpoint>) -> Limits {
        let settings = &self.settings;
        let (total, first_byte) = match queued.stream {
            None => (settings.request_timeout, settings.first_byte_timeout),
            // An answer that is written as one reads it takes its time, but its head comes soon.
            Some(_) => (settings.stream_timeout, settings.first_byte_timeout.or(settings.stream_idle_timeout)),
        };
        let (connect, max_response_bytes) = (settings.connect_timeout, settings.max_response_bytes);
        // There, one timeout holds for all of it.
        let connect = if is_for_net(queued) { queued.timeout.unwrap_or(connect) } else { connect };
        let Some(endpoint) = endpoint else {
            return Limits { connect, total: queued.timeout.unwrap_or(total), first_byte, max_response_bytes };
        };
        Limits {
            connect: endpoint.limits.connect_timeout.unwrap_or(connect),
            total: queued.timeout.unwrap_or_else(|| endpoint.timeout(total)),
            first_byte: endpoint.first_byte(first_byte),
            max_response_bytes: endpoint.limits.max_response_bytes.unwrap_or(max_response_bytes),
        }
    }
}

/// How many redirects a call to a bare URL follows. pg_net follows them all.
fn redirects(queued: &Queued) -> u8 {
    if is_for_net(queued) { REDIRECTS_FOR_NET } else { 0 }
}

fn is_for_net(queued: &Queued) -> bool {
    queued.on_complete == Some(FOR_COLLECTOR)
}
