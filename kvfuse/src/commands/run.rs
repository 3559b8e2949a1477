//! `kvfuse run`.

use super::{default_output, print};
use crate::catalogue::Provider;
use crate::cli::Run;
use crate::form::Wanted;
use crate::needs::{Line, Needs, call, quote};
use crate::plan::Plan;
use crate::refusal::{Refusal, Result, code};
use crate::subject::{Kind, Subject};
use std::process::ExitCode;

pub fn run(options: &Run) -> Result<ExitCode> {
    // Codes below 125 are the component's own.
    prepare(options).map_err(|refusal| Box::new(refusal.at_least(code::NOT_RUN)))
}

fn prepare(options: &Run) -> Result<ExitCode> {
    let mut subject = Subject::read(&options.component, &options.chosen)?;
    let chosen = options.chosen.by_urls(&options.env);
    if let Some(target) = &options.watch {
        // The result of fusing is a command.
        if subject.keyvalue().is_empty() {
            return Refusal::new(options.component.display(), "there is nothing to watch for this component")
                .note("it imports no key-value interface; one that was fused with --watch is run without it")
                .err();
        }
        let plan = Plan::new(&subject, &chosen.choice()?)?.watching(&subject, target)?;
        subject = Subject::new(&options.component, plan.fuse(&subject, Wanted::Composed)?.0)?;
    }
    check(options, &subject)?;
    // A component that is not fused yet is fused in memory.
    let plan = match subject.keyvalue().is_empty() {
        true => None,
        false => Some(Plan::new(&subject, &chosen.choice()?)?),
    };
    let imports = match &plan {
        Some(plan) => plan.imports_after(&subject),
        None => subject.world.imports.clone(),
    };
    let provider = plan.as_ref().map(|plan| &plan.provider).or(subject.inside.as_ref());
    let mut needs = Needs::of(&subject, provider, &imports);
    needs.labels |= crate::summary::labels_inside(&subject.bytes);
    if options.explain {
        return explain(options, &subject, plan.as_ref(), provider, &needs);
    }
    if !needs.lacking.is_empty() {
        return lacking(options, &subject, plan.as_ref(), provider, &needs).err();
    }
    match plan {
        Some(plan) => {
            let (fused, _) = plan.fuse(&subject, options.chosen.form())?;
            start(options, &subject, &fused, Some(&plan.provider), &needs)
        }
        None => start(options, &subject, &subject.bytes, subject.inside.as_ref(), &needs),
    }
}

/// Whether the options suit the kind of component.
fn check(options: &Run, subject: &Subject) -> Result<()> {
    let refuse = |what: &str| Refusal::new(options.component.display(), what);
    match (subject.kind, &options.invoke) {
        (Kind::Library, None) => {
            let refusal = refuse("a library does not run by itself")
                .note("it exports neither wasi:cli/run nor a handler of wasi:http");
            match call(subject) {
                Some(call) => refusal.help(format!("call one of its functions: --invoke {}", quote(&call))),
                None => refusal.help("fuse it, and let another component or a host use its exports: kvfuse fuse"),
            }
            .err()
        }
        (Kind::Handler, Some(_)) => refuse("--invoke is for libraries, and this is an HTTP handler")
            .help("leave it out to serve the handler")
            .err(),
        (kind, _) if kind != Kind::Handler && options.reuse.is_some() => {
            refuse("--reuse is for HTTP handlers, and this is not one").help("leave it out").err()
        }
        _ => Ok(()),
    }
}

/// The error for interfaces that wasmtime provides and this command does not, with the lines that run the component
/// there.
fn lacking(
    options: &Run,
    subject: &Subject,
    plan: Option<&Plan>,
    provider: Option<&Provider>,
    needs: &Needs,
) -> Refusal {
    let refusal =
        Refusal::new(options.component.display(), format!("kvfuse run does not provide {}", needs.lacking.join(", ")))
            .with_code(code::NOT_RUN);
    match lines(options, subject, plan, provider, needs) {
        Ok(lines) => refusal.help(format!("wasmtime does:\n{}", lines.trim_end())),
        Err(_) => refusal.note(format!("nor does wasmtime provide {}", needs.unknown.join(", "))),
    }
}

fn explain(
    options: &Run,
    subject: &Subject,
    plan: Option<&Plan>,
    provider: Option<&Provider>,
    needs: &Needs,
) -> Result<ExitCode> {
    let lines = lines(options, subject, plan, provider, needs)?;
    if let Some(plan) = plan {
        eprintln!("{}", plan.outcome(subject, options.chosen.form())?.0.words());
    }
    print(&lines)
}

/// The lines that do the same, as a shell takes them.
fn lines(
    options: &Run,
    subject: &Subject,
    plan: Option<&Plan>,
    provider: Option<&Provider>,
    needs: &Needs,
) -> Result<String> {
    let file = subject.path.display().to_string();
    let fused = default_output(&subject.path).display().to_string();
    let data = options.data.display().to_string();
    let address = options.addr.to_string();
    let line = Line {
        subject,
        provider,
        needs,
        file: if plan.is_some() { &fused } else { &file },
        data: &data,
        address: (subject.kind == Kind::Handler).then_some(&address),
        variables: &options.env,
        directories: &options.dir,
        arguments: &options.arguments,
        call: options.invoke.as_deref(),
        reuse: options.reuse,
    };
    let notes = line.notes();
    let Some(line) = line.render() else {
        return Refusal::new(&file, "no wasmtime line runs this component")
            .note(format!("wasmtime does not provide {}", needs.unknown.join(", ")))
            .err();
    };
    let mut text = String::new();
    if plan.is_some() {
        text.push_str(&format!("kvfuse fuse {}{}\n", quote(&file), options.chosen.by_urls(&options.env).words()));
    }
    if needs.directory && !options.data.is_dir() {
        text.push_str(&format!("mkdir -p {}\n", quote(&data)));
    }
    for note in notes {
        text.push_str(&format!("# {note}\n"));
    }
    text.push_str(&line);
    text.push('\n');
    Ok(text)
}

#[cfg(feature = "run")]
fn start(
    options: &Run,
    subject: &Subject,
    fused: &[u8],
    provider: Option<&Provider>,
    needs: &Needs,
) -> Result<ExitCode> {
    // A handler serves many requests on the same threads.
    let alone = subject.kind != Kind::Handler;
    let grants = crate::run::Grants::new(options, provider, needs, alone)?;
    let how = crate::run::Options {
        address: options.addr,
        keep: !options.no_cache,
        concurrent: needs.concurrent || subject.kind == Kind::Handler,
        reuse: options.reuse,
        call: options.invoke.clone(),
        front: None,
        // Only the consumer's own code traps there, and it is called again.
        again: crate::catalogue::has_runner(fused),
    };
    crate::run::run(subject, fused, grants, &how)
}

#[cfg(not(feature = "run"))]
fn start(options: &Run, _: &Subject, _: &[u8], _: Option<&Provider>, _: &Needs) -> Result<ExitCode> {
    Refusal::new(options.component.display(), "this kvfuse was built without a runtime")
        .help("build it with the feature `run`, which is on by default, or see the wasmtime line: kvfuse run --explain")
        .with_code(code::NOT_RUN)
        .err()
}
