//! What follows when it is said that a websocket is wanted, is wanted otherwise, or is not wanted any more.

use std::time::{Duration, Instant};

use super::{Course, Line, Made, Order, Renewal, SETTLING, Wish, replaced};
use crate::domain::socket::backoff::Backoff;
use crate::domain::socket::plan::Farewell;

impl Course {
    /// It is wanted, as before or again.
    pub fn wanted(&mut self, max_age: Option<Duration>) {
        self.max_age = max_age;
        self.wish = Wish::Open;
        match self.line {
            // Whoever says so once more has a reason to: what waits is tried now.
            Line::Closed | Line::Failed | Line::Waiting(_) => self.begin_anew(),
            // It has not been told to close yet, and goes on.
            Line::Parting(stand, _) => self.line = Line::Open(stand),
            _ => {}
        }
    }

    /// How long a connection may last from now on, the present one included.
    pub fn lasts(&mut self, max_age: Option<Duration>) {
        self.max_age = max_age;
    }

    /// It is wanted, but made otherwise. Gives what is to be closed for it.
    pub fn changed(&mut self, max_age: Option<Duration>) -> Vec<Order> {
        let mut orders = Vec::new();
        self.wanted(max_age);
        match &mut self.line {
            Line::Opening(socket) => {
                orders.push(Order::Close(*socket, replaced()));
                self.line = Line::Closing(*socket);
            }
            Line::Open(stand) => {
                stand.made = Made::Otherwise;
                self.renewals = Backoff::default();
                match self.renewal {
                    Renewal::Opening(socket) => {
                        orders.push(Order::Close(socket, replaced()));
                        self.renewal = Renewal::Cancelled(socket);
                    }
                    Renewal::NotBefore(_) => self.renewal = Renewal::None,
                    _ => {}
                }
            }
            _ => {}
        }
        orders
    }

    /// It is to be closed. What was queued before is sent first, if there is a connection.
    pub fn unwanted(&mut self, farewell: Farewell, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        self.wish = Wish::Closed(farewell.clone());
        match self.line {
            Line::Due | Line::Waiting(_) | Line::Failed => self.line = Line::Closed,
            Line::Opening(socket) => {
                orders.push(Order::Close(socket, farewell.clone()));
                self.line = Line::Closing(socket);
            }
            Line::Open(stand) => self.line = Line::Parting(stand, now + SETTLING),
            Line::Parting(..) | Line::Closing(_) | Line::Closed => {}
        }
        self.renewal = match self.renewal {
            Renewal::Opening(socket) => {
                orders.push(Order::Close(socket, farewell));
                Renewal::Cancelled(socket)
            }
            Renewal::Cancelled(socket) => Renewal::Cancelled(socket),
            _ => Renewal::None,
        };
        orders
    }

    /// Something that was in the way may be gone: what waits is tried now.
    pub fn try_now(&mut self) {
        match (self.line, self.renewal) {
            (Line::Waiting(_), _) => self.line = Line::Due,
            (Line::Open(_), Renewal::NotBefore(_)) => self.renewal = Renewal::None,
            _ => {}
        }
    }

    fn begin_anew(&mut self) {
        self.backoff = Backoff::default();
        self.line = Line::Due;
    }
}
