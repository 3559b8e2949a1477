//! The connections to one server.

use crate::config::Endpoint;
use crate::link::Link;
use crate::pipe::Pipe;
use futures_util::lock::Mutex;
use kvfuse_transport::sockets::Network;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The connection that every operation uses. The others are only opened for snapshots taken while this one watches a
/// key. Where the network waits, single requests share a [`Pipe`] instead, and this one is for sequences.
pub const MAIN: usize = 0;
/// The most connections that an instance opens to a server, beside the [`Pipe`].
pub const MAX_LINKS: usize = 4;

pub struct Node<N: Network> {
    /// Where it is, if it is one of a cluster. Otherwise the settings say where the server is.
    pub endpoint: Option<Endpoint>,
    pub places: [Place<N>; MAX_LINKS],
    /// The connection that single requests share, if the network waits.
    pub pipe: RefCell<Option<Rc<Pipe<N>>>>,
    /// The turn to open it.
    pub opening: Mutex<()>,
}

/// The place of a connection. One operation at a time uses it.
pub struct Place<N: Network> {
    pub link: Mutex<Option<Link<N>>>,
    /// The version that it holds, or held when the operation began that uses it now.
    pub holds: Cell<Option<u64>>,
}

impl<N: Network> Default for Place<N> {
    fn default() -> Self {
        Self { link: Mutex::new(None), holds: Cell::new(None) }
    }
}

impl<N: Network> Node<N> {
    /// The server that the settings name.
    pub fn of_settings() -> Self {
        Self { endpoint: None, places: Default::default(), pipe: RefCell::default(), opening: Mutex::default() }
    }

    pub fn of_cluster(endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..Self::of_settings() }
    }

    /// The connection to take a snapshot on: one without a watch, or else the one whose watch is the oldest. Those that are in
    /// use come last.
    pub fn free_place(&self) -> usize {
        let order = |place: &Place<N>| (place.link.try_lock().is_none(), place.holds.get());
        self.places.iter().enumerate().min_by_key(|(_, place)| order(place)).map_or(MAIN, |(number, _)| number)
    }

    /// The connection that still holds the watch with this version.
    pub fn place_of(&self, version: u64) -> Option<usize> {
        self.places.iter().position(|place| place.holds.get() == Some(version))
    }
}
