//! The command line of the conformance suite.

use anyhow::{Context, Result, bail};
use kvfuse_conformance::{guests, report::Report, run, target::Kind, target::Target};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: kvfuse-conformance [OPTIONS]
  Checks implementations of wasi:keyvalue. Without a target it checks every artefact and the
  hosts of hosts.json.

  --target NAME          only this one of them; can be given several times
  --generation NAME      only this guest; can be given several times
  --provider FILE.wasm   a provider component instead, fused with each guest, with
    --env NAME=VALUE       its environment variables
    --grant WHAT           what it is given: directory, network, http
    --bucket NAME          the bucket that a case works on; {case} in it becomes something unique
  --host 'COMMAND'       a host that implements the interface instead: a command in which {guest} becomes the path of
                         the guest; the words are split at blanks, and the guest's arguments are put behind them
  --json [FILE]          the report as JSON, to FILE or to standard output
  --page FILE            the matrix and what did not pass, for the documentation
  --readme FILE          the matrix, put between its two comments in FILE
  --guests FOLDER        where the guests were built";

#[derive(Default)]
struct Options {
    targets: Vec<String>,
    generations: Vec<String>,
    provider: Option<String>,
    environment: Vec<String>,
    grants: Vec<String>,
    bucket: String,
    host: Option<String>,
    json: Option<Option<PathBuf>>,
    page: Option<PathBuf>,
    readme: Option<PathBuf>,
    guests: Option<PathBuf>,
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1).peekable();
    while let Some(word) = words.next() {
        if word == "--json" {
            options.json = Some(words.next_if(|next| !next.starts_with("--")).map(PathBuf::from));
            continue;
        }
        if word == "--help" {
            println!("{USAGE}");
            std::process::exit(0);
        }
        let value = words.next().with_context(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--target" => options.targets.push(value),
            "--generation" => options.generations.push(value),
            "--provider" => options.provider = Some(value),
            "--env" => options.environment.push(value),
            "--grant" => options.grants.push(value),
            "--bucket" => options.bucket = value,
            "--host" => options.host = Some(value),
            "--page" => options.page = Some(value.into()),
            "--readme" => options.readme = Some(value.into()),
            "--guests" => options.guests = Some(value.into()),
            _ => bail!("{word} is no option\n{USAGE}"),
        }
    }
    Ok(options)
}

fn main() -> Result<ExitCode> {
    let options = options()?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let all = Target::all()?;
    guests::none_forgotten(&here.join("guests/examples"))?;

    let adhoc = options.provider.is_some() || options.host.is_some();
    let targets = match (&options.provider, &options.host) {
        (Some(provider), _) => {
            // Given from where the command was typed.
            let provider = std::path::absolute(provider)?.to_string_lossy().into_owned();
            vec![Target::of_arguments(&provider, &options.environment, &options.grants, &options.bucket)?]
        }
        (None, Some(host)) => {
            let command = host.split_whitespace().map(str::to_string).collect();
            let kind = Kind::Command { command };
            let (name, title, bucket) = (host.clone(), host.clone(), options.bucket.clone());
            vec![Target {
                name,
                title,
                store: None,
                kind,
                must_pass: Vec::new(),
                bucket,
                explained: Default::default(),
            }]
        }
        _ => all,
    };
    let folder = options.guests.clone().unwrap_or_else(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        target.join("wasm32-unknown-unknown/guest/examples")
    });

    let wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
    let mut report = Report::default();
    let mut run_targets = Vec::new();
    for target in targets.into_iter().filter(|target| adhoc || wanted(&options.targets, &target.name)) {
        let name = target.name.clone();
        match target.expanded() {
            Ok(target) => run_targets.push(target),
            Err(why) => report.not_run.push((name, why)),
        }
    }
    for target in &run_targets {
        for guest in guests::GUESTS.iter().filter(|guest| wanted(&options.generations, guest.name)) {
            eprintln!("{} / {}", target.name, guest.name);
            report.runs.push(run(guest, &folder, &root, target)?);
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
        std::fs::write(file, report.page(&run_targets)).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &options.readme {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let text = report.put_table(&run_targets, &text).with_context(|| file.display().to_string())?;
        std::fs::write(file, text)?;
    }
    Ok(if report.is_bad() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
