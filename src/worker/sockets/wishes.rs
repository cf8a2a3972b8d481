//! Which websockets are wanted: what a new dispatcher finds, and what changes later.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::held::Held;
use super::memory::{Sockets, Stage};
use crate::domain::cursor::Cursor;
use crate::domain::socket::plan::Farewell;
use crate::error::Error;
use crate::store::sockets::standing::{self, Owner, Revision, Wanted};
use crate::store::sockets::{states, sweep, unsent};
use crate::store::transaction::under_snapshot;
use crate::worker::turn::Dispatcher;

/// How one is closed that nobody says more about.
const NORMAL: u16 = 1000;

/// What a peer is told where the owner or the wish itself is gone.
const NOT_WANTED: &str = "nobody wants it any more";

impl Dispatcher {
    /// Finds out how things stand, once. Unsent messages are found from where each websocket says; below the highest of these
    /// ids, nothing new can appear.
    pub(super) fn begin_sockets(&mut self) -> Result<(), Error> {
        let last = under_snapshot(unsent::last_handed_out)?;
        let (wishes, left) = under_snapshot(|| {
            let ids: Vec<i64> = standing::revisions()?
                .into_iter()
                .filter(|revision| revision.owner == Owner::Exists)
                .map(|revision| revision.connection)
                .collect();
            if ids.is_empty() {
                return Ok::<_, Error>((Vec::new(), Vec::new()));
            }
            Ok((standing::wanted(ids)?, states::left()?))
        })?;
        let floor = left.iter().map(|left| left.unsent_from).max().unwrap_or(1).max(1);
        let mut left: HashMap<i64, states::Left> = left.into_iter().map(|left| (left.connection, left)).collect();
        let sockets = &mut self.sockets;
        sockets.cursor = Cursor::starting_at(floor);
        sockets.recovering_to = last;
        for wish in wishes {
            let connection = wish.connection;
            let held = match left.remove(&connection) {
                Some(left) => Held::left(wish, left),
                // It was made so late that nothing has been written of it.
                None => Held::new(wish, Some(1)),
            };
            if held.told != held.course.state().name() {
                sockets.pending.states.insert(connection);
            }
            sockets.held.insert(connection, held);
            sockets.touched.insert(connection);
        }
        sockets.stage = Stage::Known;
        sockets.wants.wishes = !sockets.held.is_empty();
        let unwanted: Vec<i64> = sockets.held.values().filter(|held| held.wish.farewell.is_some()).map(id).collect();
        for connection in unwanted {
            self.close_as_wished(connection, Instant::now());
        }
        Ok(())
    }

    /// What has changed is taken in: of websockets that are not known yet, and of all others too where `others` says so.
    pub(super) fn take_wishes(&mut self, clock: Instant, others: Others) -> Result<(), Error> {
        let revisions = standing::revisions()?;
        let changed: Vec<i64> =
            revisions.iter().filter(|new| self.is_news(new, others)).map(|new| new.connection).collect();
        if !changed.is_empty() {
            for wish in standing::wanted(changed)? {
                self.take_wish(wish, clock);
            }
        }
        if others == Others::TakenToo {
            self.sockets.wants.wishes = false;
            self.forget_missing(&revisions)?;
        }
        Ok(())
    }

    fn is_news(&self, new: &Revision, others: Others) -> bool {
        if new.owner == Owner::Dropped {
            return false;
        }
        match self.sockets.held.get(&new.connection) {
            None => true,
            Some(held) => others == Others::TakenToo && held.wish.revision != new.revision,
        }
    }

    /// How long a connection may last: as it is wanted, else as long as its endpoint's platform lets it.
    pub(super) fn lasting(&self, wish: &Wanted) -> Option<Duration> {
        let endpoint = wish.endpoint.as_deref().and_then(|name| self.endpoints.find(name));
        endpoint.map_or(wish.max_age, |endpoint| endpoint.socket_age(wish.max_age))
    }

    fn take_wish(&mut self, wish: Wanted, clock: Instant) {
        let connection = wish.connection;
        let is_wanted = wish.farewell.is_none();
        self.sockets.touched.insert(connection);
        let max_age = self.lasting(&wish);
        let orders = match self.sockets.held.get_mut(&connection) {
            None => {
                self.sockets.held.insert(connection, Held::new(wish, None));
                Vec::new()
            }
            Some(held) => {
                let is_alike = wish.is_made_like(&held.wish);
                held.wish = wish;
                self.sockets.pending.states.insert(connection);
                match (is_wanted, is_alike) {
                    (false, _) => Vec::new(),
                    (true, true) => {
                        held.course.wanted(max_age);
                        Vec::new()
                    }
                    (true, false) => held.course.changed(max_age),
                }
            }
        };
        self.obey(connection, orders);
        if !is_wanted {
            self.close_as_wished(connection, clock);
        }
    }

    fn close_as_wished(&mut self, connection: i64, clock: Instant) {
        let Some(held) = self.sockets.held.get_mut(&connection) else { return };
        let (code, reason) = held.wish.farewell.clone().unwrap_or_default();
        let code = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(NORMAL);
        let orders = held.course.unwanted(Farewell { code, reason: reason.unwrap_or_default() }, clock);
        if held.told != held.course.state().name() {
            self.sockets.pending.states.insert(connection);
        }
        self.obey(connection, orders);
    }

    /// Closes and forgets those whose rows are gone, or whose owners are.
    fn forget_missing(&mut self, revisions: &[Revision]) -> Result<(), Error> {
        let kept: HashSet<i64> =
            revisions.iter().filter(|revision| revision.owner == Owner::Exists).map(|kept| kept.connection).collect();
        let missing: Vec<i64> = self.sockets.held.keys().copied().filter(|known| !kept.contains(known)).collect();
        for connection in missing {
            self.forget_socket(connection);
        }
        let of_dropped: Vec<i64> = revisions
            .iter()
            .filter(|revision| revision.owner == Owner::Dropped)
            .map(|revision| revision.connection)
            .collect();
        if !of_dropped.is_empty() {
            let forgotten = sweep::forget_of_dropped(of_dropped)?;
            sweep::forget_states(forgotten)?;
        }
        Ok(())
    }

    /// Closes a websocket that nobody wants any more, and forgets it.
    pub(super) fn forget_socket(&mut self, connection: i64) {
        let Some(held) = self.sockets.held.get(&connection) else { return };
        if let Some(engine) = &self.engine {
            for socket in held.course.sockets() {
                engine.close_socket(socket, Farewell { code: NORMAL, reason: NOT_WANTED.to_owned() });
            }
        }
        self.sockets.forget(connection);
    }
}

impl Sockets {
    fn forget(&mut self, connection: i64) {
        let Some(held) = self.held.remove(&connection) else { return };
        if let Some(at) = held.wakes_at {
            self.agenda.remove(&(at, connection));
        }
        self.to_open.remove(&connection);
        let sets = [
            &mut self.touched,
            &mut self.hungry,
            &mut self.giving_up,
            &mut self.crowded,
            &mut self.barred,
            &mut self.pending.states,
        ];
        for set in sets {
            set.remove(&connection);
        }
    }
}

/// Whether wishes are taken in that are about known websockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    TakenToo,
    /// There are messages before them that have not been found yet.
    Later,
}

fn id(held: &Held) -> i64 {
    held.wish.connection
}
