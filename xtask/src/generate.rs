//! Writes what `provider/table` determines to the places where cargo, rustc and readers expect it: files of its own,
//! and the lines between two marks in others.

use anyhow::{Context, Result, bail};
use kvfuse_table::{Artefact, GENERATIONS, Generation, RUNNERS, STORES, Store, shipped};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The lines between the line with `BEGINS` and the one with `ENDS` are written.
const BEGINS: &str = "ritten by `make generate` from provider/table";
const ENDS: &str = "nd of what is written";

/// What the explorer is, as in its own metadata.
const EXPLORER: &str = "A page in the browser that shows and edits any wasi:keyvalue store";

/// Brings everything up to date, or only reports what is not.
pub fn generate(root: &Path, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for (path, text) in wanted(root)? {
        let is = std::fs::read_to_string(&path).ok();
        if is != text {
            stale.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
            if !check {
                match text {
                    Some(text) => std::fs::write(&path, text),
                    None => std::fs::remove_file(&path),
                }
                .with_context(|| path.display().to_string())?;
            }
        }
    }
    if check && !stale.is_empty() {
        bail!("out of date with provider/table: {}; make generate writes them", stale.join(", "));
    }
    stale.iter().for_each(|path| println!("wrote {path}"));
    Ok(())
}

/// Every file that is written, with its text; `None` for one that should not be there.
fn wanted(root: &Path) -> Result<BTreeMap<PathBuf, Option<String>>> {
    let mut files = BTreeMap::new();
    let examples = root.join("provider/artefacts/examples");
    std::fs::create_dir_all(&examples)?;
    for entry in std::fs::read_dir(&examples)? {
        files.insert(entry?.path(), None);
    }
    for artefact in shipped() {
        files.insert(examples.join(format!("{}.rs", artefact.name())), Some(example(&artefact)));
    }
    let parts = [
        ("provider/artefacts/Cargo.toml", artefacts_manifest()),
        ("provider/facade/src/lib.rs", modules(|generation| generation.instead_of.is_none()) + &export_all()),
        ("provider/facade/waiting/src/lib.rs", modules(|generation| generation.asynchronous)),
        ("provider/facade/shapes/src/lib.rs", modules(|generation| generation.instead_of.is_some())),
        ("tests/conformance/guests/Cargo.toml", GENERATIONS.iter().map(|g| stanza(g.name)).collect()),
        ("README.md", table()),
        ("packaging/crate/src/lib.rs", components()),
    ];
    for (name, part) in parts {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).with_context(|| name.to_string())?;
        files.insert(path, Some(between_marks(&text, &part).with_context(|| name.to_string())?));
    }
    Ok(files)
}

fn between_marks(text: &str, part: &str) -> Result<String> {
    let end_of_line = |from: usize| text.get(from..).and_then(|rest| rest.find('\n')).map(|length| from + length + 1);
    let begin = text.find(BEGINS).and_then(end_of_line).with_context(|| format!("no line with \"{BEGINS}\""))?;
    let (before, rest) = text.split_at(begin);
    let end = rest.find(ENDS).with_context(|| format!("no line with \"{ENDS}\""))?;
    let (old, _) = rest.split_at(end);
    let end = old.rfind('\n').map_or(0, |newline| newline + 1);
    let (_, after) = rest.split_at(end);
    Ok(format!("{before}{part}{after}"))
}

fn example(artefact: &Artefact) -> String {
    let apart =
        |generation: &&Generation| generation.instead_of.is_some() || (artefact.waits() && generation.asynchronous);
    let (shapes, generations): (Vec<_>, Vec<_>) = artefact.generations().into_iter().partition(apart);
    let names = |generations: &[&Generation]| generations.iter().map(|g| g.name).collect::<Vec<_>>().join(", ");
    let waiting = if artefact.waits() { "waiting " } else { "" };
    let shapes = if shapes.is_empty() { String::new() } else { format!("; {waiting}{}", names(&shapes)) };
    let about = artefact.about();
    let begins = format!("//! {about}.\n//!\n//! Written by `make generate`.\n\nkvfuse_artefacts::artefact!(");
    let crate_of = |store: &Store| format!("kvfuse_{}", store.name.replace('-', "_"));
    let generations = format!("{}{shapes}", names(&generations));
    if artefact.is_together() {
        let stores: String = STORES
            .iter()
            .filter(|store| store.is_in_together())
            .map(|store| format!("    {:?} = {},\n", store.name, crate_of(store)))
            .collect();
        let stores = stores.strip_suffix(",\n").unwrap_or(&stores);
        format!("{begins}\n{stores}:\n    {generations}\n);\n")
    } else {
        format!("{begins}{waiting}{}: {generations});\n", crate_of(artefact.store))
    }
}

fn stanza(example: &str) -> String {
    format!("[[example]]\nname = \"{example}\"\ncrate-type = [\"cdylib\"]\n\n")
}

fn artefacts_manifest() -> String {
    let crates = STORES.iter().map(|s| format!("[dependencies.kvfuse-{0}]\npath = \"../stores/{0}\"\n\n", s.name));
    crates.chain(shipped().map(|artefact| stanza(&artefact.name()))).collect()
}

fn modules(are: fn(&Generation) -> bool) -> String {
    let mut names: Vec<_> = GENERATIONS.iter().filter(|g| are(g)).map(|generation| generation.name).collect();
    names.sort_unstable();
    names.iter().map(|name| format!("pub mod {name};\n")).collect()
}

/// A macro that exports every generation of the facade.
fn export_all() -> String {
    let names: Vec<_> = GENERATIONS.iter().filter(|g| g.instead_of.is_none()).map(|g| g.name).collect();
    format!(
        "\n/// Exports every generation of this crate.\n#[macro_export]\nmacro_rules! export_all {{\n    \
         ($provider:ty) => {{\n        $crate::export!($provider: {});\n    }};\n}}\n",
        names.join(", ")
    )
}

/// The README's table of stores.
fn table() -> String {
    let mut out =
        String::from("| `--store` | what it is | provider | over | settings and promises |\n|---|---|---|---|---|\n");
    for store in STORES {
        let over = store.imports.first().and_then(|import| import.split('/').next()).unwrap_or("nothing");
        let name = store.name;
        let file = format!("{}.wasm", store.artefact);
        let _ = writeln!(out, "| `{name}` | {} | `{file}` | {over} | [docs/{name}.md](docs/{name}.md) |", store.about);
    }
    out
}

/// What the crate with the components holds: all that kvfuse embeds.
fn components() -> String {
    let artefacts = shipped().map(|artefact| (artefact.name(), artefact.about()));
    let runners = RUNNERS.iter().map(|runner| (runner.name.to_string(), runner.about()));
    let mut all = String::from("/// Every one of them.\npub static ALL: &[&Component] = &[\n");
    let mut out = String::new();
    for (name, about) in artefacts.chain(runners).chain([("explorer".into(), EXPLORER.into())]) {
        let constant = name.replace('-', "_").to_uppercase();
        let _ = writeln!(all, "    &{constant},");
        let _ = writeln!(
            out,
            "/// {about}.\npub static {constant}: Component = Component {{\n    file: \"{name}.wasm\",\n    \
             about: \"{about}\",\n    bytes: include_bytes!(\"../embedded/{name}.wasm\"),\n}};\n"
        );
    }
    format!("{out}{all}];\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_between_the_marks_are_written() {
        let text = format!("a\n# W{BEGINS}.\nold\nolder\n# E{ENDS}.\nb\n");
        let written = between_marks(&text, "new\n").unwrap();
        assert_eq!(written, format!("a\n# W{BEGINS}.\nnew\n# E{ENDS}.\nb\n"));
        assert_eq!(between_marks(&written, "new\n").unwrap(), written);
        assert!(between_marks("a\n", "new\n").is_err());
        assert!(between_marks(&format!("# W{BEGINS}\n"), "new\n").is_err());
    }

    #[test]
    fn what_belongs_to_a_store_and_a_generation_is_where_their_names_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut places = Vec::new();
        for store in STORES {
            places.extend([format!("provider/stores/{}/src/lib.rs", store.name), format!("docs/{}.md", store.name)]);
        }
        for generation in GENERATIONS {
            let facade = if generation.instead_of.is_some() { "facade/shapes" } else { "facade" };
            places.extend([
                format!("wit/{}", generation.name),
                format!("provider/{facade}/src/{}.rs", generation.name),
                format!("tests/conformance/guests/examples/{}.rs", generation.name),
            ]);
            if generation.asynchronous {
                places.push(format!("provider/facade/waiting/src/{}.rs", generation.name));
            }
        }
        let missing: Vec<_> = places.iter().filter(|place| !root.join(place).exists()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn what_is_checked_in_is_what_the_table_says() {
        generate(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), true).unwrap();
    }
}
