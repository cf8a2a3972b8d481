//! Forgetting websockets that were closed long ago.

use std::time::SystemTime;

use crate::store::sockets::sweep;
use crate::store::transaction::Aborted;
use crate::worker::house::in_place;
use crate::worker::turn::Dispatcher;

impl Dispatcher {
    /// Forgets those that were closed before what is retained. Where there is none, it costs nothing.
    pub(in crate::worker) fn forget_closed_sockets(&mut self, now: SystemTime) -> Result<(), Aborted> {
        let closed = |held: &super::held::Held| held.course.is_closed_for_good() && held.gives_up.is_none();
        if !self.sockets.held.values().any(closed) {
            return Ok(());
        }
        let before = now.checked_sub(self.settings.retention).unwrap_or(SystemTime::UNIX_EPOCH);
        let forgotten = in_place(|| {
            let forgotten = sweep::forget_closed(before)?;
            if !forgotten.is_empty() {
                sweep::forget_states(forgotten.clone())?;
            }
            Ok(forgotten)
        })?;
        for connection in forgotten.unwrap_or_default() {
            self.forget_socket(connection);
        }
        Ok(())
    }
}
