//! The clients that show a client certificate. Runs on the engine thread.

use std::sync::Arc;

use crate::domain::attempt::Identity;

/// How many are kept. One more drops the one that was not used for the longest time, and its idle connections.
const MOST: usize = 64;

/// Clients by certificate, the last used one at the end.
#[derive(Default)]
pub(super) struct Identities(Vec<(Arc<Identity>, reqwest::Client)>);

// === impl Identities ===

impl Identities {
    /// The client for a certificate. Its content counts: the same one is read anew for each attempt.
    pub(super) fn get(&mut self, identity: &Arc<Identity>) -> Option<reqwest::Client> {
        let at = self.0.iter().rposition(|(known, _)| Arc::ptr_eq(known, identity) || known == identity)?;
        let found = self.0.remove(at);
        let client = found.1.clone();
        self.0.push(found);
        Some(client)
    }

    pub(super) fn put(&mut self, identity: Arc<Identity>, client: reqwest::Client) {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push((identity, client));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Identities, Identity, MOST};

    fn identity(number: usize) -> Arc<Identity> {
        Arc::new(Identity { certificate_chain: number.to_string().into(), key: "key".into() })
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        // The client itself only wants some provider of cryptography to be there; nothing is sent.
        let _again = rustls::crypto::ring::default_provider().install_default();
        let (mut identities, client) = (Identities::default(), reqwest::Client::new());
        for number in 0..MOST {
            identities.put(identity(number), client.clone());
        }
        assert!(identities.get(&identity(0)).is_some());
        identities.put(identity(MOST), client);
        assert!(identities.get(&identity(0)).is_some());
        assert!(identities.get(&identity(1)).is_none());
        assert_eq!(identities.0.len(), MOST);
    }
}
