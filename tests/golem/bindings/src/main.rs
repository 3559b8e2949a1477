//! Writes `bindings/golem-tutorial/bindings.rs` into the target folder, which is what
//! `cargo_component_bindings::generate!()` includes.

use anyhow::{Context, Result};
use std::path::Path;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::{Resolve, UnresolvedPackage};
use wit_bindgen_rust::{ExportKey, Opts};

fn main() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    let mut last = None;
    for folder in ["../../../wit/io", "../../../wit/unversioned", "../wit"] {
        let package = UnresolvedPackage::parse_dir(&here.join(folder)).with_context(|| folder.to_string())?;
        last = Some(resolve.push(package)?);
    }
    let world = resolve.select_world(last.context("no package")?, Some("tutorial"))?;
    let options = Opts {
        exports: [(ExportKey::Name("golem:examples/api".into()), "super::Component".into())].into(),
        runtime_path: Some("cargo_component_bindings::rt".into()),
        bitflags_path: Some("cargo_component_bindings::bitflags".into()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&resolve, world, &mut files)?;
    let (_, source) = files.iter().next().context("nothing was generated")?;

    let target = std::env::var("CARGO_TARGET_DIR").context("CARGO_TARGET_DIR has to be set; the macro reads it as well")?;
    let folder = Path::new(&target).join("bindings/golem-tutorial");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("bindings.rs");
    // An unchanged file stays as it is, so that nothing is compiled again.
    if std::fs::read(&file).ok().as_deref() != Some(source) {
        std::fs::write(&file, source)?;
    }
    Ok(())
}
