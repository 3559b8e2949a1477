//! An etcd cluster.

use crate::clock::SystemClock;
use crate::http::StdHttp;
use crate::process::{Process, data_folder, free_port, program, wait_until};
use kvfuse_transport::clock::Clock;
use kvfuse_transport::http::{HttpClient, Method, Request, Scheme};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

pub struct Etcd {
    members: Vec<Member>,
    arguments: Vec<String>,
    /// The scheme of the client addresses.
    scheme: &'static str,
    token: String,
}

struct Member {
    folder: TempDir,
    client: u16,
    peer: u16,
    process: Option<Process>,
}

impl Etcd {
    /// Starts a cluster with this number of members, and with further arguments such as `--max-txn-ops`.
    pub fn start(members: usize, arguments: &[&str]) -> Self {
        Self::start_with(members, arguments, "http")
    }

    /// Starts one member that only speaks TLS, with a certificate and its key as PEM files.
    pub fn start_tls(certificate: &Path, key: &Path) -> Self {
        let files = [certificate, key].map(|path| path.to_str().expect("a path in UTF-8"));
        Self::start_with(1, &["--cert-file", files[0], "--key-file", files[1]], "https")
    }

    fn start_with(members: usize, arguments: &[&str], scheme: &'static str) -> Self {
        let members = (0..members)
            .map(|_| Member { folder: data_folder(), client: free_port(), peer: free_port(), process: None })
            .collect();
        let arguments = arguments.iter().map(|argument| argument.to_string()).collect();
        let mut etcd = Self { members, arguments, scheme, token: String::new() };
        for member in 0..etcd.members.len() {
            etcd.spawn(member);
        }
        etcd.wait_until_serving();
        etcd
    }

    fn spawn(&mut self, index: usize) {
        let cluster: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(index, member)| format!("m{index}=http://127.0.0.1:{}", member.peer))
            .collect();
        let Member { folder, client, peer, .. } = &self.members[index];
        let scheme = self.scheme;
        let mut arguments: Vec<String> = format!(
            "--name m{index} --data-dir data --logger zap --log-level error \
             --listen-client-urls {scheme}://127.0.0.1:{client} --advertise-client-urls {scheme}://127.0.0.1:{client} \
             --listen-peer-urls http://127.0.0.1:{peer} --initial-advertise-peer-urls http://127.0.0.1:{peer} \
             --initial-cluster {} --heartbeat-interval 50 --election-timeout 500",
            cluster.join(",")
        )
        .split_whitespace()
        .map(str::to_string)
        .collect();
        arguments.extend(self.arguments.iter().cloned());
        let process = Process::start(&program("etcd", "etcd-server"), &arguments, folder.path());
        self.members[index].process = Some(process);
    }

    /// Waits until the cluster accepts requests. With TLS, until it listens: clients that connect are served when it is
    /// ready.
    pub fn wait_until_serving(&mut self) {
        wait_until("etcd serves", || {
            for member in &mut self.members {
                let log = || std::fs::read_to_string(member.folder.path().join("log")).unwrap_or_default();
                if let Some(process) = &mut member.process {
                    assert!(!process.has_ended(), "etcd ended; its log: {}", log());
                }
            }
            let running: Vec<usize> = self.running().collect();
            !running.is_empty()
                && running.into_iter().all(|member| {
                    if self.scheme == "https" {
                        return TcpStream::connect(("127.0.0.1", self.members[member].client)).is_ok();
                    }
                    let answer = self.try_post(member, "/v3/kv/range", r#"{"key":"AA=="}"#, "");
                    answer.is_some_and(|(status, body)| status == 200 || body.contains("user name is empty"))
                })
        });
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        self.members.iter().enumerate().filter(|(_, member)| member.process.is_some()).map(|(index, _)| index)
    }

    pub fn ports(&self) -> Vec<u16> {
        self.members.iter().map(|member| member.client).collect()
    }

    /// The value of `KEYVALUE_ETCD_ENDPOINTS`.
    pub fn endpoints(&self) -> String {
        let endpoints: Vec<String> =
            self.ports().iter().map(|port| format!("{}://127.0.0.1:{port}", self.scheme)).collect();
        endpoints.join(",")
    }

    /// The leader, according to a member that runs.
    pub fn leader(&self) -> usize {
        let mut leader = None;
        wait_until("etcd has a leader", || {
            leader = self.running().find(|member| {
                let status = self.try_post(*member, "/v3/maintenance/status", "{}", &self.token);
                status.is_some_and(|(_, body)| field(&body, "member_id") == field(&body, "leader"))
            });
            leader.is_some()
        });
        leader.unwrap()
    }

    pub fn kill(&mut self, member: usize) {
        self.members[member].process = None;
    }

    /// Starts a killed member again, with its data.
    pub fn resume(&mut self, member: usize) {
        self.spawn(member);
    }

    /// Suspends a member, with its connections open, until [`Etcd::thaw`].
    pub fn freeze(&self, member: usize) {
        self.members[member].process.as_ref().expect("the member runs").freeze();
    }

    pub fn thaw(&self, member: usize) {
        self.members[member].process.as_ref().expect("the member runs").thaw();
    }

    /// Sends JSON to the first member that runs, as another client would.
    pub fn post(&self, path: &str, body: &str) -> String {
        let member = self.running().next().expect("a member runs");
        let (status, answer) = self.try_post(member, path, body, &self.token).expect("etcd answers");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    fn try_post(&self, member: usize, path: &str, body: &str, token: &str) -> Option<(u16, String)> {
        let deadline = SystemClock.now() + Duration::from_secs(5);
        let headers = [("authorization", token)];
        let request = Request {
            method: Method::Post,
            scheme: Scheme::Http,
            authority: &format!("127.0.0.1:{}", self.members[member].client),
            path,
            headers: if token.is_empty() { &[] } else { &headers },
            body: body.as_bytes(),
            connect_deadline: deadline,
            max_answer: 1 << 20,
        };
        let response = StdHttp::default().exchange(&request, deadline).ok()?;
        Some((response.status, String::from_utf8_lossy(&response.body).into_owned()))
    }

    /// Enables authentication, with the user `root` (password `hunter1`), and with `ann` (password `hunter2`), who may
    /// read and write the keys with the prefix `keyvalue/ann/`.
    pub fn enable_logins(&mut self) {
        for (path, body) in [
            ("/v3/auth/user/add", r#"{"name":"root","password":"hunter1"}"#),
            ("/v3/auth/role/add", r#"{"name":"root"}"#),
            ("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#),
            ("/v3/auth/user/add", r#"{"name":"ann","password":"hunter2"}"#),
            ("/v3/auth/role/add", r#"{"name":"ann"}"#),
            ("/v3/auth/user/grant", r#"{"user":"ann","role":"ann"}"#),
            // base64 of keyvalue/ann/ and of keyvalue/ann0
            (
                "/v3/auth/role/grant",
                r#"{"name":"ann","perm":{"permType":"READWRITE","key":"a2V5dmFsdWUvYW5uLw==","range_end":"a2V5dmFsdWUvYW5uMA=="}}"#,
            ),
            ("/v3/auth/enable", "{}"),
        ] {
            self.post(path, body);
        }
        self.token = field(&self.post("/v3/auth/authenticate", r#"{"name":"root","password":"hunter1"}"#), "token");
    }

    /// The cluster's revision.
    pub fn revision(&self) -> String {
        field(&self.post("/v3/kv/range", r#"{"key":"AA=="}"#), "revision")
    }
}

/// The value of a string field with this name, in JSON without whitespace.
fn field(json: &str, name: &str) -> String {
    let after = json.split_once(&format!("\"{name}\":\"")).map(|(_, after)| after);
    after.and_then(|after| after.split_once('"')).map(|(value, _)| value.to_string()).unwrap_or_default()
}
