//! Runs the tests, several programs at a time. `cargo test` runs one after the other, and most of them spend their time waiting
//! for servers.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

/// A compiled test program.
struct Program {
    /// Its package and its name, such as `kvfuse-redis faults`.
    name: String,
    file: PathBuf,
    /// The folder of its package, where it is run.
    folder: PathBuf,
}

/// How a program ended.
struct Report {
    passed: bool,
    output: String,
    seconds: f32,
}

/// Compiles what `cargo test` with these arguments would, and runs it. All programs are run, whichever fail. As there, what stands
/// after `--` is for the programs; then the examples in the documentation, which know nothing of it, are left out.
pub fn test(arguments: &[&str]) -> Result<()> {
    let mut parts = arguments.split(|argument| *argument == "--");
    let arguments = parts.next().unwrap_or_default();
    let options = parts.next();
    let programs = compile(arguments)?;
    let count = programs.len();
    // One more than there are cores: while one waits, the others compute. That one takes the smallest that are left, which talk to
    // servers and mostly wait, and so neither kind is left over at the end.
    let at_once = std::thread::available_parallelism().map_or(2, usize::from).saturating_add(1);
    println!("running {count} test programs, {at_once} at a time");
    let waiting = Mutex::new(programs.into_iter());
    let failed = Mutex::new(Vec::new());
    let next = |smallest: bool| {
        let mut waiting = waiting.lock().ok()?;
        if smallest { waiting.next_back() } else { waiting.next() }
    };
    std::thread::scope(|scope| {
        for worker in 0..at_once {
            let (next, failed) = (&next, &failed);
            scope.spawn(move || {
                while let Some(program) = next(worker == 0) {
                    let report = run(&program, options.unwrap_or_default()).unwrap_or_else(|error| Report {
                        passed: false,
                        output: format!("{error:#}\n"),
                        seconds: 0.0,
                    });
                    println!("{}", summary(&program, &report));
                    if !report.passed
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.push((program.name, failures(&report.output)));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if options.is_none() {
        println!("running the examples in the documentation");
        let status = cargo(arguments).args(["--quiet", "--doc"]).status().context("cargo does not start")?;
        if !status.success() {
            failed.push(("the examples in the documentation".into(), String::new()));
        }
    }
    // Once more at the end, where they are looked for: much may have been printed since.
    for (name, failures) in &failed {
        println!("{name}:\n{failures}");
    }
    let names: Vec<_> = failed.into_iter().map(|(name, _)| name).collect();
    ensure!(names.is_empty(), "failed: {}", names.join(", "));
    Ok(())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("test").args(arguments);
    command
}

/// The programs that cargo makes, the largest first: those with a whole runtime inside tend to run longest.
fn compile(arguments: &[&str]) -> Result<Vec<Program>> {
    let mut cargo = cargo(arguments)
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo does not start")?;
    let messages = cargo.stdout.take().context("cargo has no output")?;
    let mut programs = Vec::new();
    for line in BufReader::new(messages).lines() {
        programs.extend(program(&serde_json::from_str(&line?)?));
    }
    if !cargo.wait()?.success() {
        bail!("the tests do not compile");
    }
    programs.sort_by_key(|program| std::cmp::Reverse(std::fs::metadata(&program.file).map_or(0, |data| data.len())));
    Ok(programs)
}

/// The test program that a message of cargo is about.
fn program(message: &Value) -> Option<Program> {
    let is_test = message.get("reason")? == "compiler-artifact" && message.pointer("/profile/test")? == true;
    let file = message.get("executable")?.as_str().filter(|_| is_test)?;
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    let folder = manifest.parent()?;
    let package = message.get("package_id")?.as_str()?;
    // The end of an identifier is `name@version`, or the version alone if the folder has the name of the package.
    let package = match package.rsplit_once('#')?.1.split_once('@') {
        Some((name, _)) => name,
        None => folder.file_name()?.to_str()?,
    };
    let target = message.pointer("/target/name")?.as_str()?;
    Some(Program { name: format!("{package} {target}"), file: file.into(), folder: folder.into() })
}

fn run(program: &Program, options: &[&str]) -> Result<Report> {
    let begin = Instant::now();
    // A file and not a pipe: what a server that outlives its test still holds would keep a pipe open.
    let mut output = tempfile::tempfile()?;
    let status = Command::new(&program.file)
        .args(options)
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .status()
        .with_context(|| program.file.display().to_string())?;
    output.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes)?;
    let output = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Report { passed: status.success(), output, seconds: begin.elapsed().as_secs_f32() })
}

/// One line about a program that passed, and everything that one said which did not.
fn summary(program: &Program, report: &Report) -> String {
    let result = report.output.lines().rev().find_map(|line| line.strip_prefix("test result: "));
    // Without what no test here has: measurements, and a time that the line begins with.
    let result = result.and_then(|text| text.split("; 0 measured").next()).unwrap_or("ended without a result");
    let line = format!("{:6.1} s  {}: {result}", report.seconds, program.name);
    if report.passed { line } else { format!("{}\n{line}", report.output) }
}

/// What the output of a program says about the tests that failed, or else its end. No backtraces.
fn failures(output: &str) -> String {
    const MOST: usize = 60;
    let is_frame = |line: &str| {
        let line = line.trim_start();
        line.starts_with("at ") || line.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
    };
    let lines: Vec<_> = output.lines().filter(|line| !is_frame(line)).collect();
    let first = lines.iter().position(|line| *line == "failures:");
    let first = first.unwrap_or(lines.len().saturating_sub(MOST));
    lines.iter().skip(first).take(MOST).flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::failures;

    #[test]
    fn failures_are_told_without_backtraces() {
        let output = "running 2 tests\n\nfailures:\n\n---- a stdout ----\npanicked at a.rs:1:2:\nleft: 1\nstack backtrace:\n   \
                      0: std::panic\n             at ./a.rs:1:2\n  12: main\n";
        assert_eq!(
            failures(output),
            "failures:\n\n---- a stdout ----\npanicked at a.rs:1:2:\nleft: 1\nstack backtrace:\n"
        );
        assert_eq!(failures("Error: no such file\n"), "Error: no such file\n");
    }
}
