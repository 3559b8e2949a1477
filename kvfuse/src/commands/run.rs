//! `kvfuse run`.

use super::{default_output, print};
use crate::catalogue::Provider;
use crate::cli::Run;
use crate::needs::{Line, Needs, quote};
use crate::plan::Plan;
use crate::refusal::{Refusal, Result, code};
use crate::subject::{Kind, Subject};
use std::process::ExitCode;

pub fn run(options: &Run) -> Result<ExitCode> {
    // Codes below 125 are the component's own.
    prepare(options).map_err(|refusal| Box::new(refusal.at_least(code::NOT_RUN)))
}

fn prepare(options: &Run) -> Result<ExitCode> {
    let subject = Subject::read(&options.component)?;
    if subject.kind == Kind::Library {
        return Refusal::new(options.component.display(), "a library cannot be run by itself")
            .note("it exports neither wasi:cli/run nor wasi:http/incoming-handler")
            .help("fuse it, and let another component or a host call its exports: kvfuse fuse")
            .err();
    }
    // A component that is not fused yet is fused in memory.
    let plan = match subject.keyvalue().is_empty() {
        true => None,
        false => Some(Plan::new(&subject, &options.chosen.choice()?)?),
    };
    let imports = match &plan {
        Some(plan) => plan.imports_after(&subject),
        None => subject.world.imports.iter().map(|item| item.name.clone()).collect(),
    };
    let provider = plan.as_ref().map(|plan| &plan.provider).or(subject.inside.as_ref());
    let mut needs = Needs::of(&subject, provider, &imports);
    needs.labels |= crate::summary::labels_inside(&subject.bytes);
    if options.explain {
        return explain(options, &subject, plan.is_some(), provider, &needs);
    }
    match plan {
        Some(plan) => start(options, &subject, &plan.fuse(&subject)?, Some(&plan.provider), &needs),
        None => start(options, &subject, &subject.bytes, subject.inside.as_ref(), &needs),
    }
}

fn explain(
    options: &Run,
    subject: &Subject,
    unfused: bool,
    provider: Option<&Provider>,
    needs: &Needs,
) -> Result<ExitCode> {
    let file = subject.path.display().to_string();
    let fused = default_output(&subject.path).display().to_string();
    let data = options.data.display().to_string();
    let address = options.addr.to_string();
    let line = Line {
        subject,
        provider,
        needs,
        file: if unfused { &fused } else { &file },
        data: &data,
        address: (subject.kind == Kind::Handler).then_some(&address),
        variables: &options.env,
        directories: &options.dir,
        arguments: &options.arguments,
    };
    let mut text = String::new();
    if unfused {
        text.push_str(&format!("kvfuse fuse {}{}\n", quote(&file), options.chosen.words()));
    }
    if needs.directory && !options.data.is_dir() {
        text.push_str(&format!("mkdir -p {}\n", quote(&data)));
    }
    text.push_str(&line.render().unwrap_or_default());
    text.push('\n');
    print(&text)
}

#[cfg(feature = "run")]
fn start(
    options: &Run,
    subject: &Subject,
    fused: &[u8],
    provider: Option<&Provider>,
    needs: &Needs,
) -> Result<ExitCode> {
    let grants = crate::run::Grants::new(options, provider, needs)?;
    crate::run::run(subject, fused, grants, &crate::run::Options { address: options.addr, keep: !options.no_cache })
}

#[cfg(not(feature = "run"))]
fn start(options: &Run, _: &Subject, _: &[u8], _: Option<&Provider>, _: &Needs) -> Result<ExitCode> {
    Refusal::new(options.component.display(), "this kvfuse was built without a runtime")
        .help("build it with the feature `run`, which is on by default, or see the wasmtime line: kvfuse run --explain")
        .with_code(code::NOT_RUN)
        .err()
}
