//! How the providers get into the program: the build script, run by hand in a clone made for the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use support::{Folder, Ran};

fn files() -> Vec<String> {
    let providers = kvfuse_table::shipped().map(|artefact| artefact.file());
    providers.chain(kvfuse_table::RUNNERS.iter().map(|runner| runner.file())).collect()
}

/// A clone with kvfuse/, components/ and provider/, and a folder for programs in place of the PATH.
struct Clone(Folder);

impl Clone {
    fn new() -> Self {
        let folder = Folder::new();
        for name in ["kvfuse", "components", "provider", "out", "bin"] {
            std::fs::create_dir(folder.path(name)).unwrap();
        }
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let rustc = |arguments: &[&str], source: &str| {
            let mut rustc = Command::new("rustc");
            rustc.arg("--edition=2024").args(arguments).arg(here.join(source));
            folder.run(&mut rustc).ok();
        };
        rustc(&["--crate-type=rlib", "--crate-name=kvfuse_table"], "../provider/table/src/lib.rs");
        rustc(&["--extern=kvfuse_table=libkvfuse_table.rlib", "-o", "script"], "build.rs");
        Self(folder)
    }

    fn built(&self, names: &[String]) -> &Self {
        for name in names {
            self.0.write(&format!("components/{name}"), name);
        }
        self
    }

    /// A `make` that does this.
    #[cfg(unix)]
    fn make(&self, shell: &str) -> &Self {
        use std::os::unix::fs::PermissionsExt;
        self.0.write("bin/make", format!("#!/bin/sh\n{shell}\n"));
        std::fs::set_permissions(self.0.path("bin/make"), std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn script(&self, change: impl FnOnce(&mut Command)) -> Ran {
        let mut script = Command::new(self.0.path("script"));
        script.env("CARGO_MANIFEST_DIR", self.0.path("kvfuse")).env("OUT_DIR", self.0.path("out"));
        script.env("PATH", self.0.path("bin")).env_remove("KVFUSE_COMPONENTS");
        change(&mut script);
        self.0.run(&mut script)
    }
}

#[test]
fn what_make_has_built_is_embedded() {
    let clone = Clone::new();
    let said = clone.built(&files()).script(|_| ()).ok();
    let code = String::from_utf8(clone.0.read("out/providers.rs")).unwrap();
    for file in files() {
        assert!(said.contains(&format!("components/{file}\n")), "cargo is told to look at it: {said}");
        assert!(code.contains(&format!("({file:?}, include_bytes!(")), "{code}");
    }
}

#[cfg(unix)]
#[test]
fn in_a_fresh_clone_the_script_makes_the_providers_itself() {
    let clone = Clone::new();
    // It says what it was called with, and leaves what `make providers` leaves.
    let files = files().join(" ");
    let make =
        format!("echo \"$@ $CARGO_TARGET_DIR\" > called; for file in {files}; do echo > \"$2/components/$file\"; done");
    clone.make(&make).script(|_| ()).ok();
    let called = String::from_utf8(clone.0.read("called")).unwrap();
    let (root, target) = (clone.0.path("kvfuse/.."), clone.0.path("out/providers"));
    assert_eq!(called, format!("--directory {} providers {}\n", root.display(), target.display()));
    assert!(clone.0.path("out/providers.rs").exists());
}

#[cfg(unix)]
#[test]
fn a_failing_make_is_shown_with_what_to_do() {
    let clone = Clone::new();
    let ran = clone.make("echo 'no rustup here' >&2; exit 2").script(|_| ());
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr,
        "\
error: building the provider components to embed failed
  = help: make providers
  = note: this build looks for them in components/ and tried to make them
no rustup here
"
    );
}

#[test]
fn without_make_the_script_says_what_to_call() {
    let clone = Clone::new();
    let ran = clone.script(|_| ());
    assert_eq!(ran.code, Some(1));
    let first = "error: the provider components to embed are not built, and make does not run: ";
    assert!(ran.stderr.starts_with(first), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n  = help: make providers\n"), "{}", ran.stderr);
}

#[test]
fn a_package_has_its_providers_inside_and_needs_no_make() {
    let clone = Clone::new();
    std::fs::remove_dir(clone.0.path("provider")).unwrap();
    let ran = clone.script(|_| ());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("not found in ") && ran.stderr.contains("kvfuse/embedded"), "{}", ran.stderr);
    std::fs::create_dir(clone.0.path("kvfuse/embedded")).unwrap();
    for file in files() {
        clone.0.write(&format!("kvfuse/embedded/{file}"), file);
    }
    let said = clone.script(|_| ()).ok();
    assert!(said.contains("kvfuse/embedded/keyvalue.wasm\n"), "{said}");
    assert!(clone.0.path("out/providers.rs").exists());
}

#[test]
fn another_folder_of_components_has_to_be_complete() {
    let clone = Clone::new();
    let folder = clone.0.path("components");
    let files = files();
    let (built, missing) = files.split_at(files.len() - 2);
    clone.built(built);
    let ran = clone.script(|script| {
        script.env("KVFUSE_COMPONENTS", &folder);
    });
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr,
        format!(
            "error: the provider components to embed are not built: {} not found in {}\n  = help: make providers\n",
            missing.join(", "),
            folder.display()
        )
    );
}

#[test]
fn with_a_runtime_the_explorer_is_inside_as_well() {
    let clone = Clone::new();
    let folder = clone.0.path("components");
    clone.built(&files());
    let script = || {
        clone.script(|script| {
            script.env("CARGO_FEATURE_RUN", "1").env("KVFUSE_COMPONENTS", &folder);
        })
    };
    let ran = script();
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("not built: explorer.wasm not found in "), "{}", ran.stderr);
    clone.built(&["explorer.wasm".into()]);
    script().ok();
    let code = String::from_utf8(clone.0.read("out/providers.rs")).unwrap();
    assert!(code.contains("(\"explorer.wasm\", include_bytes!("), "{code}");
}
