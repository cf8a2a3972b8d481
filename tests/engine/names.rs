//! A name service whose answers a test scripts.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pg_edge::engine::Lookups;

/// Gives its answers one after the other, and the last one for ever; it never answers where it has none.
pub struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    own: Mutex<Vec<IpAddr>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// Each answer is a list of addresses, separated by spaces.
    pub fn answering(answers: &[&str]) -> Arc<Self> {
        let parse = |answer: &&str| answer.split(' ').map(|address| address.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            own: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// Makes an address one of the machine's own.
    pub fn give(&self, own: &str) {
        self.own.lock().unwrap().push(own.parse().unwrap());
    }

    /// The names that were asked for, each as often as it was.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Lookups for Names {
    fn own_addresses(&self) -> io::Result<Vec<IpAddr>> {
        Ok(self.own.lock().unwrap().clone())
    }

    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        match answer {
            Some(found) => async move { Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect()) }.boxed(),
            None => std::future::pending().boxed(),
        }
    }
}
