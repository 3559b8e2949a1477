//! A Redis Cluster.

use crate::certificates::Authority;
use crate::process::{free_port, wait_until};
use crate::redis::Redis;

/// The slots of every cluster.
const SLOTS: usize = 16_384;

/// Up to three primaries, and then their replicas, if there are some. The slots are in equal parts.
pub struct RedisCluster {
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// One node, which has all slots.
    pub fn of_one() -> Self {
        Self::start(1, None, &[])
    }

    /// Three nodes, each with a third of the slots and no replica.
    pub fn of_three(arguments: &[&str]) -> Self {
        Self::start(3, None, arguments)
    }

    /// The same with TLS between the nodes, and on their second ports.
    pub fn of_three_tls(authority: &Authority) -> Self {
        Self::start(3, Some(authority), &[])
    }

    /// Three nodes with a replica each. One that is gone for half a second is replaced.
    pub fn of_six(arguments: &[&str]) -> Self {
        Self::start(6, None, arguments)
    }

    fn start(count: usize, authority: Option<&Authority>, arguments: &[&str]) -> Self {
        let primaries = count.min(3);
        let ports: Vec<String> = (0..count).map(|_| free_port().to_string()).collect();
        let start = |bus: &String| {
            let fixed = format!(
                "--cluster-enabled yes --cluster-node-timeout 500 --cluster-port {bus} --cluster-replica-validity-factor 0 \
                 --repl-diskless-sync-delay 0 --repl-ping-replica-period 1"
            );
            let arguments = [&fixed.split(' ').collect::<Vec<_>>(), arguments].concat();
            let Some(authority) = authority else { return Redis::start(&arguments) };
            let ca = authority.itself().certificate;
            let tls = ["--tls-cluster", "yes", "--tls-replication", "yes", "--tls-ca-cert-file", ca.to_str().unwrap()];
            Redis::start_tls(&authority.certificate("127.0.0.1"), &[&arguments, &tls[..]].concat())
        };
        let cluster = Self { nodes: ports.iter().map(start).collect() };
        let nodes = &cluster.nodes;
        for (number, node) in nodes.iter().take(primaries).enumerate() {
            let (first, last) = (SLOTS * number / primaries, SLOTS * (number + 1) / primaries - 1);
            ok(node, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for (number, node) in nodes.iter().enumerate() {
            for (other, bus) in nodes.iter().zip(&ports).skip(number + 1) {
                let port = if authority.is_some() { other.tls_port() } else { other.port() };
                ok(node, &["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), bus]);
            }
        }
        cluster.until("the nodes have met", |node, _| {
            let known = node.command(&["CLUSTER", "NODES"]);
            known.lines().count() == count && !known.contains("handshake") && !known.contains(" disconnected")
        });
        for (number, replica) in nodes.iter().skip(primaries).enumerate() {
            let primary = cluster.id(number);
            wait_until("a node becomes a replica", || replica.command(&["CLUSTER", "REPLICATE", &primary]) == "+OK");
        }
        cluster.until("the cluster is complete", |node, number| {
            let replicas = node.command(&["CLUSTER", "NODES"]).matches("slave").count();
            let replication = node.command(&["INFO", "replication"]);
            let linked = if number < primaries {
                format!("connected_slaves:{}", count / primaries - 1)
            } else {
                "master_link_status:up".into()
            };
            replicas == count - primaries
                && replication.contains(&linked)
                && node.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        });
        cluster
    }

    fn until(&self, what: &str, holds: impl Fn(&Redis, usize) -> bool) {
        for (number, node) in self.nodes.iter().enumerate() {
            wait_until(what, || holds(node, number));
        }
    }

    /// The URL, with every node that runs.
    pub fn url(&self) -> String {
        let nodes = self.nodes.iter().filter(|node| node.is_running());
        let hosts: Vec<String> = nodes.map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    pub fn tls_url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.tls_port())).collect();
        format!("rediss+cluster://{}", hosts.join(","))
    }

    pub fn id(&self, node: usize) -> String {
        self.nodes[node].command(&["CLUSTER", "MYID"])
    }

    /// The slot of a Redis key.
    pub fn slot(&self, key: &str) -> String {
        let node = self.nodes.iter().find(|node| node.is_running()).expect("a node runs");
        node.command(&["CLUSTER", "KEYSLOT", key]).trim_start_matches(':').to_string()
    }

    /// The node that has a Redis key, as it says itself.
    pub fn owner(&self, key: &str) -> usize {
        let mut found = None;
        wait_until("a node has the key", || {
            let running = self.nodes.iter().enumerate().filter(|(_, node)| node.is_running());
            let answers = running.map(|(number, node)| (number, node.command(&["EXISTS", key])));
            found = answers.into_iter().find(|(_, answer)| answer.starts_with(':')).map(|(number, _)| number);
            found.is_some()
        });
        found.unwrap()
    }

    /// A key that is at a node.
    pub fn key_at(&self, node: usize) -> String {
        let is_there = |key: &String| self.nodes[node].command(&["EXISTS", key]).starts_with(':');
        (0..).map(|number| format!("marker {number}")).find(is_there).unwrap()
    }

    /// Waits until all that a primary has acknowledged is at its replica as well.
    pub fn wait_for_replica(&self, primary: usize, key: &str) {
        let node = &self.nodes[primary];
        wait_until("the replica has everything", || {
            node.commands(&[&["SET", key, "marker"], &["WAIT", "1", "1000"]]) == ["+OK", ":1"]
        });
    }

    /// Begins to move a slot from one node to another.
    pub fn begin_move(&self, slot: &str, from: usize, to: usize) {
        ok(&self.nodes[to], &["CLUSTER", "SETSLOT", slot, "IMPORTING", &self.id(from)]);
        ok(&self.nodes[from], &["CLUSTER", "SETSLOT", slot, "MIGRATING", &self.id(to)]);
    }

    pub fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.nodes[to].port().to_string();
        ok(&self.nodes[from], &["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
    }

    /// All nodes know where the slot is from now on.
    pub fn end_move(&self, slot: &str, to: usize) {
        let id = self.id(to);
        ok(&self.nodes[to], &["CLUSTER", "SETSLOT", slot, "NODE", &id]);
        for node in self.nodes.iter().take(3) {
            ok(node, &["CLUSTER", "SETSLOT", slot, "NODE", &id]);
        }
    }
}

fn ok(node: &Redis, command: &[&str]) {
    let answer = node.command(command);
    assert_eq!(answer, "+OK", "{command:?}");
}
