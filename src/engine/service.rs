//! The engine's main loop: obeys commands until it is stopped. Runs on the engine thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use futures_util::future::join;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::domain::call::CallId;

use super::client::Wire;
use super::log::LogWriter;
use super::message::{Command, Settings, StartError};
use super::outbox::Outbox;
use super::resolver::Lookups;
use super::running::Running;
use super::socket::Sockets;
use super::thread::{SpawnError, spawn_masked};

/// How many commands are taken from the channel at a time.
const BATCH: usize = 256;

/// What the engine thread starts with.
struct Service {
    settings: Settings,
    lookups: Arc<dyn Lookups>,
    inbox: UnboundedReceiver<Command>,
    outbox: Arc<Outbox>,
    log: LogWriter,
}

/// Tells the main thread that this thread ends, even where it ends by a panic.
struct Obituary(Arc<Outbox>);

/// Starts the engine thread and waits until it is ready. The receiver yields what was abandoned once the thread ends.
pub(super) fn start(
    settings: Settings,
    lookups: Arc<dyn Lookups>,
    inbox: UnboundedReceiver<Command>,
    outbox: Arc<Outbox>,
    log: LogWriter,
) -> Result<Receiver<Vec<CallId>>, StartError> {
    let service = Service { settings, lookups, inbox, outbox, log };
    let (ready, is_ready) = sync_channel(1);
    let (end, ended) = channel();
    // Nobody joins the thread: its end shows in `ended`, and a thread that hangs must not hang the main thread.
    let _detached = spawn_masked(move || service.run(&ready, &end)).map_err(|error| match error {
        SpawnError::Mask(error) => StartError::Signals(error),
        SpawnError::Spawn(error) => StartError::Thread(error),
    })?;
    is_ready.recv().unwrap_or(Err(StartError::Died))?;
    Ok(ended)
}

// === impl Service ===

impl Service {
    fn run(self, ready: &SyncSender<Result<(), StartError>>, end: &Sender<Vec<CallId>>) {
        let Self { settings, lookups, inbox, outbox, log } = self;
        let _obituary = Obituary(Arc::clone(&outbox));
        let _listening = log.listen();
        let (runtime, wire) = match prepare(settings, lookups, Arc::clone(&outbox)) {
            Ok(prepared) => prepared,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _until_shutdown = runtime.spawn(Arc::clone(&outbox).ring_for_lingering());
        let sockets = Sockets::new(Arc::clone(&outbox));
        let running = Arc::new(Running::new(outbox));
        let _main_waits = ready.send(Ok(()));
        runtime.block_on(obey(inbox, wire, &running, &sockets));
        let abandoned = running.abandon();
        // Drops every task, and with it every connection. A name resolution that hangs is not waited for.
        runtime.shutdown_background();
        let _main_is_gone = end.send(abandoned);
    }
}

fn prepare(settings: Settings, lookups: Arc<dyn Lookups>, outbox: Arc<Outbox>) -> Result<(Runtime, Wire), StartError> {
    // Before the thread goes to sleep is when a burst of reports is complete.
    let mut builder = Builder::new_current_thread();
    let runtime =
        builder.enable_all().on_thread_park(move || outbox.announce()).build().map_err(StartError::Runtime)?;
    Ok((runtime, Wire::new(settings, lookups)?))
}

/// Returns when the engine is to end: after a stop and its grace, or when the main thread dropped its handle.
async fn obey(mut inbox: UnboundedReceiver<Command>, mut wire: Wire, running: &Arc<Running>, sockets: &Arc<Sockets>) {
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        for command in batch.drain(..) {
            match command {
                Command::Send(attempt) => running.start(wire.clone(), attempt),
                Command::Cancel(call) => running.cancel(call),
                Command::Open(plan) => sockets.open(wire.clone(), plan),
                Command::Say(socket, messages) => sockets.say(socket, messages),
                Command::Close(socket, farewell) => sockets.close(socket, farewell),
                Command::Reconfigure(settings) => reconfigure(&mut wire, *settings),
                Command::Stop { grace } => return finish(running, sockets, grace).await,
            }
        }
    }
}

fn reconfigure(wire: &mut Wire, settings: Settings) {
    match wire.renewed(settings) {
        Ok(Some(new)) => *wire = new,
        Ok(None) => {}
        Err(error) => tracing::error!("the engine keeps its former settings: {error}"),
    }
}

async fn finish(running: &Running, sockets: &Sockets, grace: Duration) {
    sockets.close_all();
    // An error only says that the grace ended first.
    let _late = tokio::time::timeout(grace, join(running.idle(), sockets.idle())).await;
}

// === impl Obituary ===

impl Drop for Obituary {
    fn drop(&mut self) {
        self.0.die();
    }
}
