//! That no guest is forgotten: one that nothing runs would show nothing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use kvfuse_conformance::guests::{GUESTS, component};
use kvfuse_conformance::target::Target;
use std::collections::BTreeSet;
use std::path::Path;

fn listed() -> BTreeSet<String> {
    GUESTS.iter().map(|guest| guest.name.to_string()).collect()
}

#[test]
fn every_file_of_a_guest_is_in_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<_> = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, listed());
}

#[test]
fn every_guest_must_pass_against_some_target() {
    let targets = Target::of_the_project().unwrap();
    let run: BTreeSet<_> = targets.into_iter().flat_map(|target| target.must_pass).collect();
    assert_eq!(run, listed());
}

#[test]
fn every_guest_is_inside_and_imports_its_generation_only() {
    for guest in GUESTS {
        component(guest, None).unwrap();
    }
}
