//! Server programs.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the repository's tools store what they fetch, unless `KVFUSE_TOOLS` is set.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools");

/// A program on the PATH, in Debian's folders for servers, or where `tools/servers.sh` unpacks it. If it is missing,
/// the test fails and says what to do.
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/bin:/usr/bin:/usr/sbin:/sbin";
    let folders = std::env::split_paths(&path).chain([tools().join("valkey/usr/bin")]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "this test needs the program {name}: run `make servers`, as root, or `apt-get install {package}` \
             (elsewhere: install {name} and put it on the PATH)"
        )
    })
}

/// A program that `tools/emulators.sh` fetches, by its path in the tools' folder. If it is missing, the test fails and
/// says what to do.
pub fn emulator(path: &str) -> PathBuf {
    let program = tools().join(path);
    assert!(
        program.is_file(),
        "this test needs {path} in .tools/: run `make servers` (it needs Node.js with npm, and Python)"
    );
    program
}

fn tools() -> PathBuf {
    std::env::var_os("KVFUSE_TOOLS").map_or_else(|| PathBuf::from(TOOLS), PathBuf::from)
}

/// A free port of the loopback interface. It is below those that the system uses for outgoing connections, and no other process
/// of the tests gets it before this one has ended, so it stays free until a server listens on it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 10_000 + (std::process::id().wrapping_mul(101) + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let port = u16::try_from(port).unwrap();
        // The socket of the same number that no server uses stands for it, and is held until the process ends.
        let Ok(held) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            std::mem::forget(held);
            return port;
        }
    }
}

/// Waits for a condition, failing the test after half a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "timed out after 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder for the data of a server that flushes every write: in memory where there is room, because the tests kill processes
/// and never cut the power.
pub fn data_folder() -> TempDir {
    const MEMORY: &str = "/dev/shm";
    const ROOM: u64 = 1 << 30;
    let room = rustix::fs::statvfs(MEMORY).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let folder = if room < ROOM { tempfile::tempdir() } else { tempfile::tempdir_in(MEMORY) };
    folder.expect("a folder for temporary files")
}

/// A running server, killed when dropped. Its output goes to `log` in its folder.
pub struct Process(Child);

impl Process {
    pub fn start(program: &Path, arguments: &[String], folder: &Path) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self(child)
    }

    /// Whether it has exited.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Kills it without a chance to clean up.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to stop, as the terminal does, and waits until it has.
    pub fn interrupt(&mut self) {
        self.signal("-INT");
        wait_until("the server has stopped", || self.has_ended());
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Suspends it, with its connections open, until [`Process::thaw`]. A signal stops each thread when it is scheduled
    /// next; on a busy machine one may still answer until then, so this waits for all of them.
    pub fn freeze(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.id());
        wait_until("every thread of the server has stopped", || {
            let tasks = std::fs::read_dir(&tasks).unwrap();
            tasks.flatten().all(|task| match std::fs::read_to_string(task.path().join("stat")) {
                // The state comes after the program's name, which is in parentheses.
                Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')),
                Err(_) => true,
            })
        });
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_kept_from_the_other_processes_until_this_one_ends() {
        let port = free_port();
        assert!(UdpSocket::bind(("127.0.0.1", port)).is_err(), "what the others try first");
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "it is free for a server");
    }

    #[test]
    #[should_panic(expected = "apt-get install no-such-package")]
    fn a_missing_server_fails_the_test_and_says_how_to_install_it() {
        program("no-such-server", "no-such-package");
    }

    #[test]
    #[should_panic(expected = "run `make servers`")]
    fn a_missing_emulator_fails_the_test_and_says_how_to_fetch_it() {
        emulator("no-such-emulator");
    }
}
