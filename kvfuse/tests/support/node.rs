//! The file provider in a long-running Node process: `kvfuse/tests/node/session.mjs` runs it.

use super::{Folder, root};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A file that `make languages` has made.
#[track_caller]
pub fn tool(file: &str) -> PathBuf {
    let tools = std::env::var_os("KVFUSE_TOOLS").map_or_else(|| root().join(".tools"), Into::into);
    let path = tools.join(file);
    assert!(path.exists(), "{} is missing; make languages makes it", path.display());
    // Not what the file is a link to: Python knows its environment by its name.
    path.parent().unwrap().canonicalize().unwrap().join(path.file_name().unwrap())
}

/// What `jco transpile`, without options, makes of a component in the folder, as `run` in a directory of its own beside it.
/// `Err` is what jco says.
pub fn transpile(folder: &Folder, component: &str, out: &str) -> Result<PathBuf, String> {
    // The name of the demo: the script is the one that runs it.
    transpile_as("kv_demo", folder, component, out)?;
    let script = root().join("demo-consumer/javascript/node.js");
    std::fs::copy(script, folder.path(out).join("run.js")).unwrap();
    Ok(folder.path(out).join("run.js"))
}

/// The same without a script, under this name.
pub fn transpile_as(name: &str, folder: &Folder, component: &str, out: &str) -> Result<(), String> {
    let jco = tool("node-packages/node_modules/.bin/jco");
    let ran = folder.run(Command::new(jco).args(["transpile", component, "--name", name, "--out-dir", out]));
    if ran.code != Some(0) {
        return Err(ran.stdout + &ran.stderr);
    }
    let modules = folder.path(out).join("node_modules");
    if !modules.exists() {
        std::fs::write(folder.path(out).join("package.json"), "{\"type\":\"module\"}\n").unwrap();
        std::os::unix::fs::symlink(tool("node-packages/node_modules"), modules).unwrap();
    }
    Ok(())
}

pub struct Session {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Session {
    /// Starts one on the folder's directory `data`.
    pub fn start(folder: &Folder) -> Self {
        // The script has to be beside the host that it imports.
        if !folder.path("node_modules").exists() {
            std::os::unix::fs::symlink(tool("node-packages/node_modules"), folder.path("node_modules")).unwrap();
        }
        folder.write("session.mjs", include_str!("../node/session.mjs"));
        let mut process = Command::new("node")
            .args(["session.mjs", "data"])
            .arg(tool("node-provider/keyvalue.js"))
            .current_dir(folder.path("."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, commands, answers }
    }

    /// The same, with a handle to the default bucket: the number 0.
    pub fn open(folder: &Folder) -> Self {
        let mut this = Self::start(folder);
        assert_eq!(this.ask(json!(["open", ""])), 0);
        this
    }

    /// Executes one command and gives its result.
    #[track_caller]
    pub fn ask(&mut self, command: Value) -> Value {
        send(&mut self.commands, &command).unwrap();
        let line = self.answers.next().unwrap_or_else(|| panic!("Node ended")).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer.get("error").is_none(), "{line}");
        answer["ok"].take()
    }

    /// Sends commands without waiting, and kills the process once it has answered this many, while it handles the next ones.
    /// Gives the number of answers until then.
    pub fn kill_after(mut self, answers: usize, commands: impl Iterator<Item = Value> + Send) -> usize {
        let input = &mut self.commands;
        let told = std::thread::scope(|scope| {
            // Until the process stops reading.
            scope.spawn(|| commands.map(|command| send(input, &command)).find(Result::is_err));
            let mut told: Vec<_> = self.answers.by_ref().take(answers).collect();
            self.process.kill().unwrap();
            told.extend(self.answers.by_ref());
            told
        });
        // Only now: the sender waits until the process is killed.
        assert!(told.len() >= answers, "Node ended");
        told.iter().for_each(|line| assert_eq!(line.as_ref().unwrap(), r#"{"ok":null}"#));
        told.len()
    }
}

fn send(commands: &mut ChildStdin, command: &Value) -> std::io::Result<()> {
    commands.write_all(format!("{command}\n").as_bytes())
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
