//! What an open websocket does when it is time. Runs on the engine thread.

use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Message;

use crate::domain::socket::end::End;
use crate::domain::socket::keep_alive::{Hearing, Pulse, Rhythm, Step, step};

use super::keeper::{Keeper, Stage, TO_CLOSE, Writing};

impl<S: AsyncRead + AsyncWrite + Unpin> Keeper<S> {
    /// Does what is due, and gives when something will be next.
    pub(super) fn keep_time(&mut self, now: Instant) -> Result<Instant, End> {
        let until = match &self.stage {
            Stage::Closing { until } if *until <= now => return Err(End::ClosedByUs),
            Stage::Ending { until, end } | Stage::Losing { until, end } if *until <= now => return Err(end.clone()),
            Stage::Closing { until } | Stage::Losing { until, .. } | Stage::Ending { until, .. } => {
                return Ok(*until);
            }
            Stage::Leaving { farewell, until } => {
                if *until <= now || (self.queue.is_empty() && self.acknowledgement.is_settled()) {
                    let farewell = farewell.clone();
                    self.close(&farewell);
                    return Ok(now + TO_CLOSE);
                }
                Some(*until)
            }
            Stage::Talking => None,
        };
        let alive = self.keep_alive(now)?;
        let ask = self.acknowledgement.ask_at().filter(|_| self.writing == Writing::Open);
        Ok([until, ask].into_iter().flatten().fold(alive, Instant::min))
    }

    fn keep_alive(&mut self, now: Instant) -> Result<Instant, End> {
        let rhythm = Rhythm { every: self.rules.ping_every, dead_after: self.rules.dead_after };
        loop {
            let hearing = if self.free.is_some() { Hearing::Stopped } else { Hearing::Open };
            let pulse = Pulse { heard: self.line.ear().heard(), pinged: self.pinged, beaten: self.beaten, hearing };
            let due = step(rhythm, pulse, now);
            match due {
                Step::Wait(until) => return Ok(until),
                Step::Bury => return Err(End::Silent),
                Step::Ping => self.pinged = now,
                Step::Beat => self.beaten = Some(now),
            }
            // Where the peer takes nothing, more of it would only fill the memory.
            if self.writing == Writing::Open {
                let message = if due == Step::Ping { self.ping(now) } else { self.heartbeat() };
                if let Err(error) = self.line.put(message) {
                    self.lose(&error, now)?;
                }
            }
        }
    }

    fn heartbeat(&self) -> Message {
        Message::Text(self.rules.heartbeat.clone().unwrap_or_default().into())
    }
}
