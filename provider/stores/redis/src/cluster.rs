//! What nodes of a cluster say of it, and the map of its slots. No I/O.

use crate::config::Endpoint;
use crate::error::{self, Failure};
use crate::node::Node;
use crate::protocol::Reply;
use crate::slots::{SLOTS, SlotSet};
use futures_util::lock::Mutex;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::sockets::Network;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The most nodes that are remembered: what Redis Cluster is made for, so that what servers claim has a bound.
const MOST_NODES: usize = 1000;
/// After so many keys were elsewhere, the whole map is asked for again.
const ENOUGH_MOVED: u32 = 8;

/// Where a node says that a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Only for this request: the key is being moved.
    pub asks: bool,
    pub slot: u16,
    /// As the node wrote it, `host:port`. Without a host it is that of the node itself.
    pub to: String,
}

impl Redirect {
    /// From `MOVED slot host:port` or `ASK slot host:port`.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let asks = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
        Some(Self { asks, slot, to: words.next()?.to_string() })
    }

    fn endpoint(&self, from: &Endpoint) -> Option<Endpoint> {
        let (host, port) = self.to.rsplit_once(':')?;
        let host = if host.is_empty() { &from.host } else { host };
        Endpoint::told(host.as_bytes(), port.as_bytes())
    }
}

/// Slots in a row, and the primary that has them.
#[derive(Debug, PartialEq, Eq)]
pub struct Range {
    pub first: u16,
    pub last: u16,
    pub endpoint: Endpoint,
}

/// From the reply to `CLUSTER SLOTS` of the node at `asked`. Ranges whose node does not know its own address are left out.
pub fn ranges(reply: Reply, asked: &Endpoint) -> Result<Vec<Range>> {
    let shape = || error::unexpected("CLUSTER SLOTS");
    let Reply::Array(ranges) = reply else { return Err(shape()) };
    let mut known = Vec::new();
    for range in ranges {
        let Reply::Array(parts) = range else { return Err(shape()) };
        let mut parts = parts.into_iter();
        let mut slot = || match parts.next() {
            Some(Reply::Integer(slot)) => u16::try_from(slot).ok().filter(|slot| *slot < SLOTS).ok_or_else(shape),
            _ => Err(shape()),
        };
        let (first, last) = (slot()?, slot()?);
        let Some(Reply::Array(primary)) = parts.next() else { return Err(shape()) };
        let mut primary = primary.into_iter();
        let host = match primary.next().ok_or_else(shape)? {
            Reply::Null => asked.host.clone().into_bytes(),
            name => name.into_bytes().ok_or_else(shape)?,
        };
        let host = if host.is_empty() { asked.host.clone().into_bytes() } else { host };
        let Some(Reply::Integer(port)) = primary.next() else { return Err(shape()) };
        if host == b"?" {
            continue;
        }
        let endpoint = Endpoint::told(&host, port.to_string().as_bytes()).ok_or_else(shape)?;
        known.push(Range { first, last, endpoint });
    }
    Ok(known)
}

/// The id of a node, and the slots all of whose keys it has, from its reply to `CLUSTER NODES`: not those that it is giving away,
/// of which it may have lost some keys.
pub fn own_slots(nodes: &[u8]) -> Option<(&str, SlotSet)> {
    let text = std::str::from_utf8(nodes).ok()?;
    let is_own =
        |line: &&str| line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"));
    let line = text.lines().find(is_own)?;
    let id = line.split(' ').next()?;
    let mut own = SlotSet::default();
    if !line.split(' ').nth(2)?.split(',').any(|flag| flag == "master") {
        return Some((id, own));
    }
    let number = |text: &str| text.parse().ok().filter(|slot: &u16| *slot < SLOTS);
    let (given, whole): (Vec<&str>, Vec<&str>) = line.split(' ').skip(8).partition(|word| word.starts_with('['));
    for range in whole.into_iter().filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        (number(first)?..=number(last)?).for_each(|slot| own.insert(slot));
    }
    for word in given {
        if let Some((slot, _)) = word.trim_start_matches('[').split_once("->-") {
            own.remove(number(slot)?);
        }
    }
    Some((id, own))
}

/// The nodes, and which of them has which slot.
pub struct Cluster<N: Network> {
    map: RefCell<Map<N>>,
    is_stale: Cell<bool>,
    moved: Cell<u32>,
    /// How often the map was replaced.
    pub generation: Cell<u64>,
    /// The turn to ask for it.
    pub turn: Mutex<()>,
}

struct Map<N: Network> {
    /// The one to ask for the map first is the first one.
    nodes: Vec<Rc<Node<N>>>,
    owners: Vec<Option<Rc<Node<N>>>>,
}

impl<N: Network> Default for Cluster<N> {
    fn default() -> Self {
        let map = RefCell::new(Map { nodes: Vec::new(), owners: Vec::new() });
        let (is_stale, moved, generation, turn) = (Cell::new(true), Cell::default(), Cell::default(), Mutex::default());
        Self { map, is_stale, moved, generation, turn }
    }
}

impl<N: Network> Cluster<N> {
    pub fn is_stale(&self) -> bool {
        self.is_stale.get()
    }

    /// Whether there is a map, however old.
    pub fn is_known(&self) -> bool {
        !self.map.borrow().owners.is_empty()
    }

    /// Something went wrong that a new map may explain.
    pub fn doubt(&self) {
        self.is_stale.set(true);
    }

    pub fn owner(&self, slot: u16) -> Option<Rc<Node<N>>> {
        self.map.borrow().owners.get(usize::from(slot)).cloned().flatten()
    }

    pub fn nodes(&self) -> Vec<Rc<Node<N>>> {
        self.map.borrow().nodes.clone()
    }

    /// Those to ask for the map: the nodes that are known, and then those of the settings.
    pub fn candidates(&self, seeds: &[Endpoint]) -> Vec<Rc<Node<N>>> {
        let mut nodes = self.nodes();
        for seed in seeds {
            if !nodes.iter().any(|node| node.endpoint.as_ref() == Some(seed)) {
                nodes.push(Rc::new(Node::of_cluster(seed.clone())));
            }
        }
        nodes
    }

    /// This one did not say where the slots are: others are asked before it.
    pub fn ask_last(&self, failed: &Rc<Node<N>>) {
        self.place(failed, |nodes, node| nodes.push(node));
    }

    fn ask_first(&self, best: &Rc<Node<N>>) {
        self.place(best, |nodes, node| nodes.insert(0, node));
    }

    fn place(&self, node: &Rc<Node<N>>, put: impl FnOnce(&mut Vec<Rc<Node<N>>>, Rc<Node<N>>)) {
        let nodes = &mut self.map.borrow_mut().nodes;
        if let Some(at) = nodes.iter().position(|known| Rc::ptr_eq(known, node)) {
            let node = nodes.remove(at);
            put(nodes, node);
        }
    }

    /// Takes the map that `from` has. The connections of nodes that have slots stay.
    pub fn learn(&self, ranges: Vec<Range>, from: &Rc<Node<N>>) {
        let mut kept = self.nodes();
        kept.push(from.clone());
        let mut nodes: Vec<Rc<Node<N>>> = Vec::new();
        let mut owners = vec![None; usize::from(SLOTS)];
        for Range { first, last, endpoint } in ranges {
            let is_it = |node: &&Rc<Node<N>>| node.endpoint.as_ref() == Some(&endpoint);
            let node = match nodes.iter().find(is_it) {
                Some(node) => node.clone(),
                None if nodes.len() >= MOST_NODES => continue,
                None => {
                    let node = kept.iter().find(is_it).cloned();
                    let node = node.unwrap_or_else(|| Rc::new(Node::of_cluster(endpoint.clone())));
                    nodes.push(node.clone());
                    node
                }
            };
            for slot in first..=last {
                if let Some(owner) = owners.get_mut(usize::from(slot)) {
                    *owner = Some(node.clone());
                }
            }
        }
        *self.map.borrow_mut() = Map { nodes, owners };
        self.is_stale.set(false);
        self.moved.set(0);
        self.generation.set(self.generation.get().wrapping_add(1));
    }

    /// Follows a redirection of `from`. Returns the node to ask this once, if the key is being moved; otherwise the map has
    /// changed.
    pub fn follow(&self, slot: u16, redirect: &Redirect, from: &Node<N>) -> Result<Option<Rc<Node<N>>>, Failure> {
        let to = from.endpoint.as_ref().and_then(|from| redirect.endpoint(from)).filter(|_| redirect.slot == slot);
        let to = to.ok_or_else(|| {
            let from = from.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
            Failure::Refused(Error::new(
                Kind::Unavailable,
                format!("the node of the cluster at {from} redirects to what is no address, or for a slot that was not asked for"),
            ))
        })?;
        let known = self.map.borrow().nodes.iter().find(|node| node.endpoint.as_ref() == Some(&to)).cloned();
        let node = known.unwrap_or_else(|| Rc::new(Node::of_cluster(to)));
        if redirect.asks {
            return Ok(Some(node));
        }
        {
            let mut map = self.map.borrow_mut();
            if !map.nodes.iter().any(|known| Rc::ptr_eq(known, &node)) && map.nodes.len() < MOST_NODES {
                map.nodes.push(node.clone());
            }
            if let Some(owner) = map.owners.get_mut(usize::from(slot)) {
                *owner = Some(node.clone());
            }
        }
        // It knows best what it was given.
        self.ask_first(&node);
        self.moved.set(self.moved.get().saturating_add(1));
        if self.moved.get() >= ENOUGH_MOVED {
            self.doubt();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.into(), port }
    }

    #[test]
    fn a_redirection_names_a_slot_and_a_node() {
        let from = endpoint("a", 1);
        let to = |line: &str| Redirect::parse(line).and_then(|redirect| redirect.endpoint(&from));
        assert_eq!(to("MOVED 3999 127.0.0.1:6381"), Some(endpoint("127.0.0.1", 6381)));
        assert_eq!(to("ASK 0 ::1:7"), Some(endpoint("::1", 7)));
        assert_eq!(to("MOVED 1 :6380"), Some(endpoint("a", 6380)), "the host that answered");
        assert!(Redirect::parse("ASK 1 b:2").is_some_and(|redirect| redirect.asks));
        for line in [
            "MOVED",
            "MOVED 1",
            "MOVED x b:1",
            "MOVED 16384 b:1",
            "MOVED -1 b:1",
            "MOVED 1 b",
            "MOVED 1 b:0",
            "MOVED 1 b:65536",
            "MOVED 1 b\r:1",
            "MOVED 1 ?:1",
            "MOVED 1 user@b:1",
            &format!("MOVED 1 {}:1", "b".repeat(256)),
            "ERR moved",
        ] {
            assert_eq!(to(line), None, "{line}");
        }
    }

    fn range(first: i64, last: i64, host: Reply, port: i64) -> Reply {
        let node = vec![host, Reply::Integer(port), Reply::Bulk(b"id".to_vec())];
        Reply::Array(vec![Reply::Integer(first), Reply::Integer(last), Reply::Array(node.clone()), Reply::Array(node)])
    }

    #[test]
    fn the_map_of_slots_is_that_of_the_primaries() {
        let host = |name: &str| Reply::Bulk(name.as_bytes().to_vec());
        let reply = Reply::Array(vec![
            range(0, 5460, host("b"), 1),
            range(5461, 9000, Reply::Null, 2),
            range(9001, 9001, host(""), 3),
            range(9002, 16383, host("?"), 4),
        ]);
        let known = ranges(reply, &endpoint("a", 9)).unwrap();
        let known: Vec<_> = known.iter().map(|range| (range.first, range.last, range.endpoint.to_string())).collect();
        assert_eq!(known, [(0, 5460, "b:1".into()), (5461, 9000, "a:2".into()), (9001, 9001, "a:3".into())]);
    }

    #[test]
    fn a_map_of_slots_that_is_nonsense_is_refused() {
        let host = || Reply::Bulk(b"b".to_vec());
        for reply in [
            Reply::Null,
            Reply::Array(vec![Reply::Null]),
            Reply::Array(vec![Reply::Array(vec![])]),
            Reply::Array(vec![Reply::Array(vec![Reply::Integer(0), Reply::Integer(1)])]),
            Reply::Array(vec![range(0, 16384, host(), 1)]),
            Reply::Array(vec![range(-1, 1, host(), 1)]),
            Reply::Array(vec![range(0, 1, host(), 0)]),
            Reply::Array(vec![range(0, 1, host(), 65536)]),
            Reply::Array(vec![range(0, 1, Reply::Bulk(b"a b".to_vec()), 1)]),
            Reply::Array(vec![range(0, 1, Reply::Integer(1), 1)]),
        ] {
            assert!(ranges(reply.clone(), &endpoint("a", 9)).is_err(), "{reply:?}");
        }
    }

    #[test]
    fn a_node_has_all_keys_of_the_slots_that_it_gives_to_nobody() {
        let nodes = b"1 127.0.0.1:1@2 master - 0 0 2 connected 100-200\n\
            2 127.0.0.1:3@4,host myself,master - 0 0 1 connected 0-99 300 400-401 [50->-1] [100-<-1]\n";
        let (id, own) = own_slots(nodes).unwrap();
        assert_eq!((id, own.encode().as_str()), ("2", "0-31_33-63_12c-12c_190-191"));
        let replica = b"1 127.0.0.1:1@2 myself,slave 2 0 0 2 connected\n";
        assert_eq!(own_slots(replica), Some(("1", SlotSet::default())));
        let empty = b"1 127.0.0.1:1@2 myself,master - 0 0 2 connected\n";
        assert_eq!(own_slots(empty), Some(("1", SlotSet::default())));
        for nonsense in
            [&b""[..], b"\xff", b"1 a master - 0 0 1 connected 0-1", b"1 a myself,master - 0 0 1 connected 0-16384"]
        {
            assert_eq!(own_slots(nonsense), None);
        }
    }
}
