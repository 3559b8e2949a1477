//! The command line of the conformance suite.

use anyhow::{Context, Result, bail};
use clap::Parser;
use kvfuse_conformance::expected::Promise;
use kvfuse_conformance::target::{Grant, Kind, Target};
use kvfuse_conformance::{guests, report::Report, run};
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks implementations of wasi:keyvalue: runs guests, one for each generation of the interface, against provider
/// components or hosts.
///
/// Fails if a case fails. A case that is not supported is only reported.
///
/// Without --provider or --host it checks the targets of the project itself, and fails if one of them does not do exactly
/// what it promises. Run it at the top of the repository: the paths of their components are relative to it.
#[derive(Parser)]
#[command(name = "kvfuse-conformance", version, max_term_width = 100)]
struct Options {
    /// Check only this target of the project; can be given several times.
    #[arg(long = "target", value_name = "NAME", conflicts_with_all = ["provider", "host"])]
    targets: Vec<String>,
    /// Check only this generation; can be given several times.
    #[arg(long = "generation", value_name = "NAME")]
    generations: Vec<String>,
    /// Check a provider component: it is fused with each guest and run in wasmtime.
    #[arg(long, value_name = "FILE.wasm", conflicts_with = "host")]
    provider: Option<PathBuf>,
    /// An environment variable of the provider; {case} in the value is replaced by the case's bucket.
    #[arg(long = "env", value_name = "NAME=VALUE", requires = "provider", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// What the provider is granted besides the standard streams; can be given several times.
    #[arg(long = "grant", value_name = "WHAT", requires = "provider")]
    grants: Vec<Grant>,
    /// The bucket that a case works on; {case} in the name is replaced by something unique.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    bucket: String,
    /// Check a host that implements the interface itself: a command in which {guest} is replaced by the path of a guest.
    /// It is split at spaces, and the guest's arguments are appended.
    #[arg(long, value_name = "COMMAND")]
    host: Option<String>,
    /// Write the report as JSON, to this file or to standard output.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Write the tables and the cases that did not pass as a page for the documentation.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Put the table between its two comments in this file.
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
    /// Take the guests from this folder instead of those inside the program.
    #[arg(long, value_name = "FOLDER")]
    guests: Option<PathBuf>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an environment variable is written NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

impl Options {
    /// What to check, and whether it was named by hand.
    fn targets(&self) -> Result<Vec<Target>> {
        if let Some(provider) = &self.provider {
            let provider = provider.to_string_lossy();
            return Ok(vec![Target::of_arguments(&provider, &self.environment, &self.grants, &self.bucket)]);
        }
        if let Some(host) = &self.host {
            let command = host.split_whitespace().map(str::to_string).collect();
            let target = Target::new(host, Kind::Command { command });
            return Ok(vec![Target { bucket: self.bucket.clone(), promise: Promise::NoFailure, ..target }]);
        }
        let mut all = Target::all()?;
        all.retain(|target| wanted(&self.targets, &target.name));
        Ok(all)
    }
}

fn wanted(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|wanted| wanted == name)
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let mut report = Report::default();
    let mut targets = Vec::new();
    let mut missing = false;
    for target in options.targets()? {
        let name = target.name.clone();
        let promises = !matches!(target.promise, Promise::Nothing);
        match target.expanded(|name| std::env::var(name).ok()) {
            Ok(target) => targets.push(target),
            Err(why) => {
                missing |= promises;
                report.not_run.push((name, why));
            }
        }
    }
    for target in &targets {
        for guest in guests::GUESTS.iter().filter(|guest| wanted(&options.generations, guest.name)) {
            eprintln!("{} / {}", target.name, guest.name);
            let component = guests::component(guest, options.guests.as_deref())?;
            report.runs.push(run(guest, &component, target)?);
        }
    }
    if report.runs.is_empty() && report.not_run.is_empty() {
        bail!("nothing was run: there is no such target or generation");
    }
    match &options.json {
        Some(Some(file)) => std::fs::write(file, report.json()? + "\n").with_context(|| file.display().to_string())?,
        Some(None) => println!("{}", report.json()?),
        None => {}
    }
    if !matches!(options.json, Some(None)) {
        print!("{}", report.text());
    }
    if let Some(file) = &options.page {
        std::fs::write(file, report.page(&targets)).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &options.readme {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let text = report.put_table(&targets, &text).with_context(|| file.display().to_string())?;
        std::fs::write(file, text)?;
    }
    Ok(if report.is_bad() || missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
