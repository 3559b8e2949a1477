//! `kvfuse fuse`.

use super::{default_output, print};
use crate::cli::Fuse;
use crate::input::reason;
use crate::plan::Plan;
use crate::refusal::{Refusal, Result};
use crate::subject::Subject;
use crate::summary::Summary;
use std::path::Path;
use std::process::ExitCode;

pub fn fuse(options: &Fuse) -> Result<ExitCode> {
    let subject = Subject::read(&options.component, &options.chosen)?;
    let output = options.output.clone().unwrap_or_else(|| default_output(&options.component));
    for (what, input) in [("component", Some(&options.component)), ("provider", options.chosen.provider.as_ref())] {
        if let Some(input) = input.filter(|input| same_file(input, &output)) {
            return Refusal::new(
                output.display(),
                format!("the output would overwrite the {what} {}", input.display()),
            )
            .help(format!("name another file: -o {}", default_output(input).display()))
            .err();
        }
    }
    let plan = Plan::new(&subject, &options.chosen.by_urls(&[]).choice()?)?;
    let plan = match &options.watch {
        Some(target) => plan.watching(&subject, target)?,
        None => plan,
    };
    let (fused, form) = plan.fuse(&subject, options.chosen.form())?;
    write(&output, &fused)?;

    let mut text =
        format!("fused {} with {} into {}\n", options.component.display(), plan.provider.title(), output.display());
    if !options.quiet {
        let result = Subject::new(&output, fused)?;
        text.push('\n');
        let mut summary = Summary::plain(&result);
        summary.form = Some(form);
        text.push_str(&summary.text().unwrap_or_default());
    }
    print(&text)
}

/// Writes a fused component.
pub fn write(output: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        let what = format!("cannot write the fused component: {}", reason(&e));
        Box::new(Refusal::file(output, what).help("-o names a file in another place"))
    };
    // A link stays a link; its target is written.
    let target = output.canonicalize().unwrap_or_else(|_| output.to_path_buf());
    match std::fs::metadata(&target) {
        Ok(there) if there.is_dir() => {
            return Refusal::file(output, "cannot write the fused component: this is a directory")
                .help("-o takes the name of a file")
                .err();
        }
        // A file with the same content keeps its time stamp, for `make`.
        Ok(there) if there.is_file() => {
            if there.len() == bytes.len() as u64 && std::fs::read(&target).is_ok_and(|there| there == bytes) {
                return Ok(());
            }
        }
        // A device or a pipe is written to, and must not be replaced by a file.
        Ok(_) => return std::fs::write(&target, bytes).map_err(failed),
        Err(_) => {}
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Refusal::file(
            output,
            format!("cannot write the fused component: there is no directory {}", folder.display()),
        )
        .err();
    }
    replace(&target, folder, bytes).map_err(failed)
}

/// Writes a file at once: readers see the old one or the new one, never half of it. After an error the temporary file is
/// removed; if this process is killed it stays, with a name that says where it comes from.
#[cfg(not(target_family = "wasm"))]
fn replace(target: &Path, folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = temporary().tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, bytes)?;
    // A temporary file is private; what a build makes is as readable as the umask says.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let probe = temporary().permissions(std::fs::Permissions::from_mode(0o666)).tempfile_in(folder);
        let mode = probe.and_then(|probe| probe.as_file().metadata())?.permissions();
        file.as_file().set_permissions(mode)?;
    }
    file.persist(target).map(drop).map_err(|e| e.error)
}

/// In the page's memory nobody else reads it.
#[cfg(target_family = "wasm")]
fn replace(target: &Path, _: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(target, bytes)
}

#[cfg(not(target_family = "wasm"))]
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".kvfuse-").suffix(".tmp");
    builder
}

/// Whether both names lead to one file, including by symbolic or hard links.
fn same_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(one), Ok(other)) = (std::fs::metadata(one), std::fs::metadata(other)) {
            return (one.dev(), one.ino()) == (other.dev(), other.ino());
        }
    }
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
