//! The limit: a bare reqwest client that sends what pg_edge sends, keeps its connections, and reads every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Client, Url};
use tokio::runtime::Runtime;

use super::world::{ANSWER, CONCURRENCY, body};

/// A client on a thread of its own, as the engine is.
pub struct Bare {
    /// There until this is dropped.
    runtime: Option<Runtime>,
    client: Client,
    url: Url,
    body: Bytes,
}

impl Bare {
    /// A client that will post to the URL.
    pub fn new(url: &str) -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = Client::builder().no_proxy().pool_max_idle_per_host(CONCURRENCY).user_agent("pg_edge/bench");
        Arc::new(Self {
            runtime: Some(runtime.expect("a runtime can be built")),
            client: client.build().expect("a client can be built"),
            url: url.parse().expect("a peer has a URL"),
            body: Bytes::from(body()),
        })
    }

    /// Sends so many requests, `CONCURRENCY` at once.
    pub async fn drain(self: &Arc<Self>, requests: usize) -> Duration {
        let bare = Arc::clone(self);
        let on_its_thread = move || bare.runtime().block_on(bare.send_all(requests));
        tokio::task::spawn_blocking(on_its_thread).await.expect("no request fails")
    }

    /// The times of so many requests, one after the other.
    pub async fn one_by_one(self: &Arc<Self>, requests: usize) -> Vec<Duration> {
        let bare = Arc::clone(self);
        let on_its_thread = move || {
            bare.runtime().block_on(async {
                let mut times = Vec::with_capacity(requests);
                for number in 0..requests {
                    let began = Instant::now();
                    send(&bare.client, &bare.url, &bare.body, number).await;
                    times.push(began.elapsed());
                }
                times
            })
        };
        tokio::task::spawn_blocking(on_its_thread).await.expect("no request fails")
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until this is dropped")
    }

    async fn send_all(&self, requests: usize) -> Duration {
        let left = Arc::new(AtomicUsize::new(requests));
        let began = Instant::now();
        let tasks: Vec<_> = (0..CONCURRENCY)
            .map(|_| {
                let (client, url, body) = (self.client.clone(), self.url.clone(), self.body.clone());
                let left = Arc::clone(&left);
                tokio::spawn(async move {
                    while let Ok(number) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    {
                        send(&client, &url, &body, number).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no request fails");
        }
        began.elapsed()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // A runtime that is simply dropped waits for its threads, which another runtime does not allow.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn send(client: &Client, url: &Url, body: &Bytes, number: usize) {
    let request = client.post(url.clone()).header("content-type", "application/json");
    let request = request.header("idempotency-key", format!("0b7c1d7a-3c8e-4f0e-9d55-2f1f7f0c2a11-{number}"));
    let response = request.body(body.clone()).send().await.expect("the peer answers");
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.expect("the peer answers whole").len(), ANSWER.len());
}
