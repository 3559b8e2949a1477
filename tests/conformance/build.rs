//! Embeds the guests. They are wasm, which cargo cannot build in the same run: `make conformance-guests` leaves them in
//! `components/conformance/`. A package on a registry holds them in `embedded/`, where `make package` puts them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).ok_or(format!("cargo did not set {name}"));
    let here = variable("CARGO_MANIFEST_DIR")?;
    // The sources of the guests are in the repository and in no package.
    let repository = here.join("guests").is_dir();
    let folder = if repository { here.join("../../components/conformance") } else { here.join("embedded") };
    println!("cargo::rerun-if-changed={}", folder.display());

    let guests = guests(&folder).unwrap_or_default();
    if guests.is_empty() && !repository {
        return Err(format!("this package contains no guests; they belong in {}", folder.display()));
    }
    let mut code = String::from("static EMBEDDED: &[(&str, &[u8])] = &[\n");
    for (name, path) in guests {
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").map_err(|e| e.to_string())?;
    }
    code.push_str("];\n");
    std::fs::write(variable("OUT_DIR")?.join("guests.rs"), code).map_err(|e| format!("cannot list the guests: {e}"))
}

/// The names and the paths of what is in the folder, sorted.
fn guests(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path().canonicalize()?;
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}
