//! The harness itself: whether servers live and die as told and peers do as scripted, so that the other tests
//! may blame the extension.

mod clusters;
mod peers;
mod websocket_peers;
