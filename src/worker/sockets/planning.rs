//! From a wish to what the engine has to know to open the connection, secrets included.

use std::time::SystemTime;

use http::HeaderMap;

use super::held::Held;
use super::opening::PAUSE;
use crate::domain::endpoint::Endpoint;
use crate::domain::lane_policy::Gate;
use crate::domain::socket::acknowledgement::Asking;
use crate::domain::socket::address;
use crate::domain::socket::plan::{Plan, Rules, SocketId};
use crate::domain::socket::verdict::Judged;
use crate::domain::{header, placeholder};
use crate::error::Error;
use crate::store::sockets::standing::Wanted;
use crate::worker::secrets::Unresolved;
use crate::worker::turn::Dispatcher;

/// Why a connection is not opened now.
pub(super) enum Obstacle {
    Judged(Judged),
    /// Somebody has disabled its endpoint.
    Barred(String),
}

impl From<Judged> for Obstacle {
    fn from(judged: Judged) -> Self {
        Self::Judged(judged)
    }
}

impl From<Unresolved> for Obstacle {
    fn from(why: Unresolved) -> Self {
        Self::Judged(match why {
            Unresolved::NotNow(_) => Judged::held_back(why.to_string(), PAUSE),
            Unresolved::NotAllowed => {
                Judged::unusable("the role that wants the connection has no right to placeholders for secrets")
            }
            why => Judged::unusable(why.to_string()),
        })
    }
}

impl Dispatcher {
    /// What the engine has to know to open a connection as it is wanted.
    pub(super) fn plan(&mut self, connection: i64, now: SystemTime) -> Result<Result<Plan, Obstacle>, Error> {
        let Some(wish) = self.sockets.held.get(&connection).map(|held: &Held| held.wish.clone()) else {
            return Err(Error::Malformed);
        };
        self.know_endpoint(wish.endpoint.as_deref(), now)?;
        let max_age = self.lasting(&wish);
        if let Some(held) = self.sockets.held.get_mut(&connection) {
            held.course.lasts(max_age);
        }
        let own = match wish.headers.as_deref().map(header::from_block).transpose() {
            Ok(own) => own.unwrap_or_default(),
            Err(error) => return Ok(Err(Judged::unusable(error.to_string()).into())),
        };
        self.fetch_secrets_of_socket(&wish, &own, now)?;
        let socket = SocketId(self.sockets.next_socket);
        self.sockets.next_socket += 1;
        Ok(self.complete_plan(socket, &wish, own))
    }

    fn complete_plan(&self, socket: SocketId, wish: &Wanted, mut headers: HeaderMap) -> Result<Plan, Obstacle> {
        let endpoint = match wish.endpoint.as_deref() {
            None => None,
            Some(name) => match self.endpoints.find(name) {
                None => return Err(Judged::unusable(format!("endpoint \"{name}\" was dropped")).into()),
                Some(endpoint) if endpoint.lane.gate == Gate::Closed => {
                    return Err(Obstacle::Barred(format!("endpoint \"{name}\" is disabled")));
                }
                Some(endpoint) => Some(endpoint.as_ref()),
            },
        };
        let url = address::resolve(&wish.url, endpoint.map(|endpoint| &endpoint.base))
            .map_err(|error| Judged::unusable(error.to_string()))?;
        self.complete_headers(wish, endpoint, &mut headers)?;
        let settings = &self.settings;
        let connect = endpoint.and_then(|endpoint| endpoint.limits.connect_timeout).unwrap_or(settings.connect_timeout);
        Ok(Plan {
            socket,
            url,
            headers,
            subprotocols: wish.subprotocols.clone(),
            identity: self.identity(endpoint)?,
            rules: Rules {
                connect,
                handshake: settings.sockets.handshake_timeout,
                ping_every: settings.sockets.ping_interval,
                dead_after: settings.sockets.dead_after,
                max_message_bytes: settings.sockets.max_message_bytes,
                heartbeat: wish.heartbeat.clone(),
                asking: Asking::default(),
            },
        })
    }

    /// The endpoint's headers, and values in place of placeholders.
    fn complete_headers(
        &self,
        wish: &Wanted,
        endpoint: Option<&Endpoint>,
        headers: &mut HeaderMap,
    ) -> Result<(), Unresolved> {
        if header::holds_placeholder(headers)? && !self.secrets.allows(wish.owner) {
            return Err(Unresolved::NotAllowed);
        }
        if let Some(endpoint) = endpoint {
            endpoint.complete(headers);
        }
        self.secrets.resolve_headers(headers)?;
        if let Some(endpoint) = endpoint {
            endpoint.add_credentials(headers);
        }
        Ok(())
    }

    fn fetch_secrets_of_socket(&mut self, wish: &Wanted, own: &HeaderMap, now: SystemTime) -> Result<(), Error> {
        self.secrets.tidy();
        if wish.headers.as_deref().is_some_and(placeholder::may_be_in) {
            self.secrets.fetch_headers(own, now);
            self.secrets.fetch_right(wish.owner, now)?;
        }
        let Some(endpoint) = wish.endpoint.as_deref().and_then(|name| self.endpoints.find(name)) else {
            return Ok(());
        };
        self.secrets.fetch_headers(&endpoint.headers, now);
        if let Some((certificate, key)) = &endpoint.identity {
            self.secrets.fetch(certificate, now);
            self.secrets.fetch(key, now);
        }
        Ok(())
    }
}
