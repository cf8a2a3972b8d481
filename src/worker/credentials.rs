//! What a request gets of its endpoint and of secrets when an attempt is built: headers, a client certificate, and
//! signatures.
//!
//! Runs on the main thread of a dispatcher.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::ledger::Waiting;
use super::secrets::Unresolved;
use super::send::{KeptBack, PAUSE_OF_ONE};
use super::settle::Unsent;
use super::turn::Dispatcher;
use crate::domain::attempt::Identity;
use crate::domain::endpoint::Endpoint;
use crate::domain::request::Request;
use crate::domain::signature::{self, SigningKey};
use crate::domain::{header, placeholder};
use crate::error::Error;
use crate::store::scan::Queued;

impl Dispatcher {
    /// Reads the secrets of the call that is to be sent next. It is still among the chosen, so that an error of Postgres
    /// leaves it there for the next turn.
    pub(super) fn fetch_secrets_of_next(&mut self, now: SystemTime) -> Result<(), Error> {
        let Some((_, Waiting { queued, request, .. })) = self.chosen.front() else { return Ok(()) };
        self.secrets.tidy();
        if has_template(queued) {
            self.secrets.fetch_headers(&request.headers, now);
            self.secrets.fetch_right(queued.owner, now)?;
        }
        let Some(endpoint) = queued.endpoint.as_deref().and_then(|name| self.endpoints.find(name)) else {
            return Ok(());
        };
        self.secrets.fetch_headers(&endpoint.headers, now);
        for secret in &endpoint.signing_secrets {
            self.secrets.fetch(secret, now);
        }
        if let Some((certificate, key)) = &endpoint.identity {
            self.secrets.fetch(certificate, now);
            self.secrets.fetch(key, now);
        }
        Ok(())
    }

    /// Completes the headers of a request: those of its endpoint, and values in place of placeholders.
    pub(super) fn complete(
        &self,
        queued: &Queued,
        endpoint: Option<&Endpoint>,
        request: &mut Request,
    ) -> Result<(), Unresolved> {
        let has_template = has_template(queued);
        // Whoever may make endpoints is trusted with their placeholders; whoever queues a call must be with his own.
        if has_template && header::holds_placeholder(&request.headers)? && !self.secrets.allows(queued.owner) {
            return Err(Unresolved::NotAllowed);
        }
        if let Some(endpoint) = endpoint {
            endpoint.complete(&mut request.headers);
        }
        if has_template || endpoint.is_some() {
            self.secrets.resolve_headers(&mut request.headers)?;
        }
        if let Some(endpoint) = endpoint {
            endpoint.add_credentials(&mut request.headers);
        }
        Ok(())
    }

    /// Signs a request with the secrets of its endpoint, if it has any.
    pub(super) fn sign(
        &self,
        queued: &Queued,
        endpoint: Option<&Endpoint>,
        request: &mut Request,
        now: SystemTime,
    ) -> Result<(), Unresolved> {
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.signing_secrets.is_empty()) else { return Ok(()) };
        let mut keys = Vec::with_capacity(endpoint.signing_secrets.len());
        for secret in &endpoint.signing_secrets {
            keys.push(SigningKey::parse(&self.secrets.resolve_text(secret)?)?);
        }
        let id = signature::message_id(&self.database_id, queued.id);
        let signed = signature::headers(&keys, &id, now, request.body.as_deref())?;
        // These are ours alone: nobody could verify a signature beside headers that a user gave.
        for (name, value) in &signed {
            request.headers.insert(name, value.clone());
        }
        Ok(())
    }

    /// The client certificate that the endpoint's peer is shown.
    pub(super) fn identity(&self, endpoint: Option<&Endpoint>) -> Result<Option<Arc<Identity>>, Unresolved> {
        let Some((certificate, key)) = endpoint.and_then(|endpoint| endpoint.identity.as_ref()) else {
            return Ok(None);
        };
        let certificate = self.secrets.resolve_text(certificate)?;
        let key = self.secrets.resolve_text(key)?;
        Ok(Some(Arc::new(Identity {
            certificate_chain: Bytes::copy_from_slice(certificate.as_bytes()),
            key: Bytes::copy_from_slice(key.as_bytes()),
        })))
    }
}

/// Whether a call's own headers may hold placeholders.
fn has_template(queued: &Queued) -> bool {
    queued.headers.as_deref().is_some_and(placeholder::may_be_in)
}

impl From<Unresolved> for KeptBack {
    fn from(why: Unresolved) -> Self {
        match why {
            Unresolved::NotNow(_) => Self::ForNow(PAUSE_OF_ONE),
            why => Self::ForGood(Unsent::Unresolved(why.to_string())),
        }
    }
}
