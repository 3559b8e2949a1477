//! The build steps that cargo alone cannot do; `make` calls them.

use anyhow::{Context, Result, bail};
use kvfuse_compose::{About, Allowed, componentize};
use std::io::Write;
use std::path::Path;

const USAGE: &str = "usage:
  xtask componentize CORE.wasm OUT.wasm NAME DESCRIPTION [IMPORTS.txt]";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["componentize", core, out, name, description, imports @ ..] if imports.len() <= 1 => {
            let mut inputs = vec![*core];
            inputs.extend(imports);
            unless_fresh(&inputs, out, || {
                let about = About {
                    name: name.to_string(),
                    description: description.to_string(),
                    version: env!("CARGO_PKG_VERSION").to_string(),
                    licenses: env!("CARGO_PKG_LICENSE").to_string(),
                };
                let component = componentize(&read(core)?, &about).with_context(|| core.to_string())?;
                if let Some(list) = imports.first() {
                    let allowed = Allowed::parse(&String::from_utf8(read(list)?)?);
                    allowed.check(&component).with_context(|| format!("{out} was not made ({list})"))?;
                }
                Ok(component)
            })
        }
        _ => bail!(USAGE),
    }
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

/// In one step: others see the old content or the new, and never half of it.
fn write(folder: &Path, out: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    // A temporary file is private; what a build makes is for everybody.
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
