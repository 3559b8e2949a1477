//! The build steps that cargo alone cannot do; `make` calls them.

mod generate;
mod test;

use anyhow::{Context, Result, bail};
use kvfuse_compose::{About, Allowed, componentize, compose};
use kvfuse_table::Artefact;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage:
  xtask generate [--check]                               what provider/table determines in the source
  xtask providers MODULES COMPONENTS [ARTEFACT]          every provider component, from the modules in a folder, or one
  xtask componentize CORE.wasm OUT.wasm NAME DESCRIPTION any other component
  xtask compose CONSUMER.wasm PROVIDER.wasm OUT.wasm     the two in one, as `wasm-tools compose` does it
  xtask test ARGUMENTS…                                  what `cargo test ARGUMENTS…` does, several programs at a time";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Not with a backtrace, whatever the environment asks for: that one is for the tests.
    run(&arguments).map_or_else(
        |error| {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["generate"] => generate::generate(&root(), false),
        ["generate", "--check"] => generate::generate(&root(), true),
        ["providers", modules, components] => providers(modules, components),
        ["providers", modules, components, artefact] => provider(modules, components, artefact),
        ["componentize", core, out, name, description] => component(core, out, name, description, None),
        ["compose", consumer, provider, out] => {
            unless_fresh(&[consumer, provider], out, || Ok(compose(&read(consumer)?, &read(provider)?)?))
        }
        ["test", arguments @ ..] => test::test(arguments),
        _ => bail!(USAGE),
    }
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Makes every artefact, and removes former ones: a component whose name begins with `keyvalue` is a provider.
fn providers(modules: &str, components: &str) -> Result<()> {
    let mut files = Vec::new();
    for artefact in kvfuse_table::shipped() {
        artefact_of(modules, components, &artefact)?;
        files.push(artefact.file());
    }
    for runner in kvfuse_table::RUNNERS {
        let core = format!("{modules}/{}.wasm", runner.name.replace('-', "_"));
        component(&core, &format!("{components}/{}", runner.file()), runner.name, &runner.about(), None)?;
    }
    for entry in std::fs::read_dir(components)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("keyvalue") && name.ends_with(".wasm") && !files.contains(&name) {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
            println!("removed {}, which provider/table does not list", path.display());
        }
    }
    Ok(())
}

/// Makes one artefact, by its name.
fn provider(modules: &str, components: &str, name: &str) -> Result<()> {
    let artefact = kvfuse_table::shipped().find(|artefact| artefact.name() == name);
    artefact_of(modules, components, &artefact.with_context(|| format!("provider/table lists no artefact {name:?}"))?)
}

fn artefact_of(modules: &str, components: &str, artefact: &Artefact) -> Result<()> {
    let name = artefact.name();
    // Cargo writes the file of a library with the name of its crate.
    let core = format!("{modules}/{}.wasm", name.replace('-', "_"));
    let imports = Allowed::parse(&artefact.imports().join("\n"));
    component(&core, &format!("{components}/{}", artefact.file()), &name, &artefact.about(), Some(&imports))
}

/// Makes the component `out` of a core module.
fn component(core: &str, out: &str, name: &str, description: &str, imports: Option<&Allowed>) -> Result<()> {
    unless_fresh(&[core], out, || {
        let about = About {
            name: name.to_string(),
            description: description.to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            licenses: env!("CARGO_PKG_LICENSE").to_string(),
        };
        let component = componentize(&read(core)?, &about).with_context(|| core.to_string())?;
        if let Some(allowed) = imports {
            allowed.check(&component).with_context(|| format!("{out} was not made (its imports in provider/table)"))?;
        }
        Ok(component)
    })
}

/// Makes `out`, unless it is newer than everything it is made from, this program included.
fn unless_fresh(inputs: &[&str], out: &str, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<()> {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let program = std::env::current_exe().ok().and_then(|path| modified(&path));
    let newest = inputs.iter().filter_map(|path| modified(path.as_ref())).chain(program).max();
    if modified(out.as_ref()).is_some_and(|made| newest.is_none_or(|newest| made >= newest)) {
        return Ok(());
    }
    let bytes = make()?;
    let folder = Path::new(out).parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write(folder, out.as_ref(), &bytes).with_context(|| format!("cannot write {out}"))?;
    println!("made {out} ({} bytes)", bytes.len());
    Ok(())
}

/// Writes atomically: others see the old content or the new, never half of it.
fn write(folder: &Path, out: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    // A temporary file is private; the output of a build is for everybody.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(out)?;
    Ok(())
}

fn read(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {path}"))
}
