//! Following a streamed answer from event to event, waiting for those that have not come yet.

use std::collections::VecDeque;

use super::arguments;
use super::watch::{Patience, Watch};
use crate::error::Error;
use crate::store::calls::{self, Place, Viewer};
use crate::store::event_batch::{self, Batch, Event};
use crate::store::transaction::{in_own_memory, under_snapshot};
use crate::worker::client;
use crate::worker::latch::Waited;

/// Where a reader stands in a stream.
pub struct Reader {
    id: i64,
    viewer: Viewer,
    slot: i16,
    /// The last event that was given.
    seq: i64,
    /// Events that were read together with one that was given. They hold no more than one batch.
    ahead: VecDeque<Event>,
    has_all: bool,
    patience: Patience,
    function: &'static str,
}

impl Reader {
    /// Behind an event of a call, willing to wait for the next ones. `function` is the one that does, for the error.
    pub fn begin(id: i64, place: &Place, after_seq: i64, patience: Patience, function: &'static str) -> Self {
        let (viewer, slot) = (arguments::viewer(), place.slot);
        Self { id, viewer, slot, seq: after_seq, ahead: VecDeque::new(), has_all: false, patience, function }
    }

    /// The next event. `None` when the stream has ended and all were given, or the time is up.
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        let mut watch: Option<Watch> = None;
        loop {
            if let Some(event) = self.ahead.pop_front() {
                self.seq = event.seq;
                return Ok(Some(event));
            }
            if self.has_all {
                return Ok(None);
            }
            self.look()?;
            if !self.ahead.is_empty() || self.has_all {
                continue;
            }
            match &watch {
                None if self.patience.is_over() => return Ok(None),
                // And looks once more, for what has come before this was there to be told.
                None => {
                    watch = Some(Watch::over(self.id, self.patience, self.function));
                    client::flush();
                }
                Some(watch) => match watch.wait()? {
                    None => return Ok(None),
                    Some(Waited::Woken) => self.look_closely()?,
                    Some(Waited::InVain) => self.find_again()?,
                },
            }
        }
    }

    /// Gives from now on only what is there.
    pub fn wait_no_more(&mut self) {
        self.patience = Patience::none();
    }

    /// How the call ended, when the stream has.
    pub fn end(&self) -> Result<Option<calls::Ended>, Error> {
        if !self.has_all {
            return Ok(None);
        }
        under_snapshot(|| calls::ended(self.id, self.slot))
    }

    /// A look takes a new snapshot, and gives back the memory it took: there may be many before the next row.
    fn look(&mut self) -> Result<(), Error> {
        let read = || under_snapshot(|| event_batch::after(self.id, self.slot, self.seq));
        let Batch { events, is_last } = in_own_memory(read)?;
        self.ahead.extend(events);
        self.has_all = is_last;
        Ok(())
    }

    /// A look after which nothing is missed: where it shows nothing, the call may be in another place.
    fn look_closely(&mut self) -> Result<(), Error> {
        self.look()?;
        if self.ahead.is_empty() && !self.has_all {
            self.find_again()?;
        }
        Ok(())
    }

    /// Retention may have carried the call over, or away.
    fn find_again(&mut self) -> Result<(), Error> {
        let find = || under_snapshot(|| calls::place(self.id, self.viewer, Some(self.slot)));
        match in_own_memory(find)? {
            Some(place) => self.slot = place.slot,
            None => self.has_all = true,
        }
        Ok(())
    }
}
