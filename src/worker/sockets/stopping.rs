//! Closing all websockets because the dispatcher ends. The next one opens them again.

use crate::domain::socket::plan::Farewell;
use crate::engine::SocketNews;
use crate::worker::sockets::Sockets;
use crate::worker::turn::Dispatcher;

/// "Going away": the peer may expect us back.
const GOING_AWAY: u16 = 1001;

impl Dispatcher {
    /// Tells all peers that we go away.
    pub(in crate::worker) fn leave_sockets(&mut self) {
        let Some(engine) = &self.engine else { return };
        for socket in self.sockets.lines.keys() {
            engine.close_socket(*socket, Farewell { code: GOING_AWAY, reason: String::new() });
        }
    }
}

impl Sockets {
    /// What the engine has said in its last moments.
    pub(in crate::worker) fn add_news(&mut self, news: Vec<SocketNews>) {
        self.news.extend(news);
    }

    /// Whether there is something to be looked at, or to be written that can be.
    pub(in crate::worker) fn is_behind(&self) -> bool {
        self.resting_until.is_none() && (!self.news.is_empty() || !self.pending.is_empty())
    }
}
