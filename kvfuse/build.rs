//! Embeds the provider components, and the explorer. They are wasm, which cargo cannot build in the same run: `make`
//! puts them into components/. If they are missing (a fresh clone in which only cargo was called), this script calls
//! `make` itself. A package on a registry has them in embedded/, where `make package` puts them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let variable = |name: &str| std::env::var_os(name).ok_or(format!("cargo did not set {name}"));
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = here.join("..");
    let out = PathBuf::from(variable("OUT_DIR")?);
    // Another folder of components, for packagers and for the tests of this script.
    println!("cargo::rerun-if-env-changed=KVFUSE_COMPONENTS");
    let given = std::env::var_os("KVFUSE_COMPONENTS").map(PathBuf::from);
    // The sources of the providers are in the repository and in no package.
    let repository = root.join("provider").is_dir();
    let default = if repository { root.join("components") } else { here.join("embedded") };
    let folder = given.clone().unwrap_or(default);

    let mut providers: Vec<String> = kvfuse_table::shipped().map(|artefact| artefact.file()).collect();
    if std::env::var_os("CARGO_FEATURE_RUN").is_some() {
        // What `kvfuse explore` fuses with a store and serves.
        providers.push("explorer.wasm".into());
    }
    let runners: Vec<String> = kvfuse_table::RUNNERS.iter().map(|runner| runner.file()).collect();
    let files = [providers.as_slice(), runners.as_slice()].concat();
    for file in &files {
        println!("cargo::rerun-if-changed={}", folder.join(file).display());
    }
    let missing =
        || -> Vec<&str> { files.iter().map(String::as_str).filter(|file| !folder.join(file).is_file()).collect() };
    if !missing().is_empty() && given.is_none() && repository {
        make_providers(&root, &out)?;
    }
    if !missing().is_empty() {
        return Err(format!(
            "error: the provider components to embed are not built: {} not found in {}\n  = help: make providers",
            missing().join(", "),
            folder.display()
        ));
    }

    let mut code = String::new();
    for (name, files) in [("FILES", &providers), ("RUNNER_FILES", &runners)] {
        writeln!(code, "pub static {name}: &[(&str, &[u8])] = &[").map_err(|e| e.to_string())?;
        for file in files {
            let path = folder.join(file).canonicalize().map_err(|e| format!("{file}: {e}"))?;
            writeln!(code, "    ({file:?}, include_bytes!({path:?})),").map_err(|e| e.to_string())?;
        }
        code.push_str("];\n");
    }
    std::fs::write(out.join("providers.rs"), code).map_err(|e| format!("cannot write the list of providers: {e}"))
}

/// Cargo holds a lock on its target folder while it runs this script, so the inner builds get one of their own.
fn make_providers(root: &Path, out: &Path) -> Result<(), String> {
    let help = "\n  = help: make providers\n  = note: this build looks for them in components/ and tried to make them";
    let mut make = Command::new("make");
    make.arg("--directory").arg(root).arg("providers").env("CARGO_TARGET_DIR", out.join("providers"));
    // The variables that cargo sets for a build script must not reach the inner builds.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let outer =
            ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "TARGET", "HOST", "PROFILE"];
        if outer.contains(&name_text.as_ref()) || name_text.starts_with("CARGO_CFG_") {
            make.env_remove(&name);
        }
    }
    let result = make.stdout(Stdio::null()).stderr(Stdio::piped()).output();
    match result {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let log = String::from_utf8_lossy(&output.stderr);
            let tail: Vec<_> = log.lines().rev().take(20).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            Err(format!("error: building the provider components to embed failed{help}\n{}", tail.join("\n")))
        }
        Err(e) => {
            Err(format!("error: the provider components to embed are not built, and make does not run: {e}{help}"))
        }
    }
}
