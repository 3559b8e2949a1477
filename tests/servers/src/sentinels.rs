//! Redis with sentinels.

use crate::process::{Process, free_port, program, wait_until};
use crate::redis::{Redis, commands};
use std::fmt::Write;
use tempfile::TempDir;

/// The name of the primary among the sentinels.
pub const NAME: &str = "mymaster";

/// A primary, its replica, and three sentinels, two of which decide.
pub struct Sentinels {
    /// The first one is the primary at first.
    pub servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    _folder: TempDir,
    port: u16,
    process: Process,
}

impl Sentinels {
    pub fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// Starts them with further arguments of the servers, and with further lines in the configuration of the sentinels.
    pub fn start_with(arguments: &[&str], lines: &[&str]) -> Self {
        let primary = Redis::start(&[&["--repl-diskless-sync-delay", "0"], arguments].concat());
        let port = primary.port().to_string();
        let replica = Redis::start(&[&["--replicaof", "127.0.0.1", &port], arguments].concat());
        let servers = vec![primary, replica];
        let sentinels = (0..3).map(|_| Sentinel::start(&port, lines)).collect();
        let mut all = Self { servers, sentinels };
        all.wait_until_complete(!lines.iter().any(|line| line.starts_with("requirepass")));
        all
    }

    /// Waits until the sentinels know the replica and each other. Those with a password are not asked.
    fn wait_until_complete(&mut self, asks: bool) {
        let replica = &self.servers[1];
        wait_until("the replica is complete", || {
            let answer = replica.command(&["INFO", "replication"]);
            answer.contains("master_link_status:up") || answer.contains("NOAUTH")
        });
        for sentinel in &mut self.sentinels {
            wait_until("the sentinel answers", || {
                assert!(!sentinel.process.has_ended(), "the sentinel ended");
                let Some(answers) = commands(sentinel.port, &[&["INFO", "sentinel"]]) else { return false };
                !asks || answers[0].contains("status=ok") && answers[0].contains("slaves=1,sentinels=3")
            });
        }
    }

    pub fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|sentinel| sentinel.port).collect()
    }

    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    pub fn freeze_sentinel(&self, number: usize) {
        self.sentinels[number].process.freeze();
    }

    pub fn kill_sentinel(&mut self, number: usize) {
        self.sentinels[number].process.kill();
    }

    /// The server that says to be the primary. At a moment in between there may be two; then the one that the sentinels name.
    pub fn primary(&self) -> usize {
        let mut primary = None;
        wait_until("there is a primary", || {
            let running = self.servers.iter().enumerate().filter(|(_, server)| server.is_running());
            let mut primaries =
                running.filter(|(_, server)| server.command(&["INFO", "replication"]).contains("role:master"));
            primary = primaries.next().map(|(number, _)| number).filter(|_| primaries.next().is_none());
            primary.is_some()
        });
        primary.unwrap()
    }

    /// Waits until the primary has a replica again.
    pub fn wait_for_replica(&self) {
        wait_until("the primary has a replica", || {
            let primary = &self.servers[self.primary()];
            primary.command(&["INFO", "replication"]).contains("state=online")
                && self.sentinels.iter().all(|sentinel| {
                    commands(sentinel.port, &[&["INFO", "sentinel"]])
                        .is_some_and(|answers| answers[0].contains(&format!("127.0.0.1:{}", primary.port())))
                })
        });
    }

    /// Waits until all that the primary has acknowledged is at its replica as well.
    pub fn wait_until_replicated(&self) {
        let primary = &self.servers[self.primary()];
        wait_until("the replica has everything", || {
            primary.commands(&[&["SET", "marker", ""], &["WAIT", "1", "1000"]]) == ["+OK", ":1"]
        });
    }
}

impl Sentinel {
    fn start(primary: &str, lines: &[&str]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 2000\n"
        );
        lines.iter().for_each(|line| writeln!(text, "{line}").unwrap());
        std::fs::write(folder.path().join("sentinel.conf"), text).unwrap();
        let arguments = ["sentinel.conf".to_string(), "--sentinel".to_string()];
        let process = Process::start(&program("redis-server", "redis-server"), &arguments, folder.path());
        // As fast as tests are: by default, sentinels look at each other every two seconds, and at servers every ten. What a
        // replica says of itself counts for five periods of pings, and without its primary it is asked once a second: with
        // shorter periods than this, sentinels often find no replica that is good enough.
        let debug = ["INFO-PERIOD", "100", "PUBLISH-PERIOD", "100", "PING-PERIOD", "400", "ASK-PERIOD", "100"];
        let debug = [&["SENTINEL", "DEBUG"], &debug[..]].concat();
        wait_until("the sentinel starts", || commands(port, &[&debug]).is_some());
        Self { _folder: folder, port, process }
    }
}
