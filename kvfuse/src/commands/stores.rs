//! `kvfuse stores`.

use super::{print, print_json};
use crate::catalogue;
use crate::cli::Stores;
use crate::refusal::Result;
use crate::subject::packages;
use crate::table::{COMMON, ROUTING, Role, STORES, Store, TOGETHER, Variable};
use kvfuse_compose::is_keyvalue;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Entry {
    /// `None` for the providers that contain every store.
    store: Option<&'static str>,
    about: &'static str,
    needs: Vec<&'static str>,
    variables: Vec<Described>,
    providers: Vec<File>,
}

#[derive(Serialize)]
struct File {
    file: String,
    bytes: usize,
    generations: Vec<String>,
}

#[derive(Serialize)]
struct Described {
    name: &'static str,
    about: &'static str,
    example: &'static str,
    required: bool,
}

impl From<&Variable> for Described {
    fn from(variable: &Variable) -> Self {
        let &Variable { name, about, example, role } = variable;
        Self { name, about, example, required: role == Role::Endpoint }
    }
}

pub fn stores(options: &Stores) -> Result<ExitCode> {
    let mut entries = STORES.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let together = Entry { store: None, ..entry(&TOGETHER)? };
    let files: Vec<_> = together.providers.iter().map(|file| format!("{}, {} bytes", file.file, file.bytes)).collect();
    if options.json {
        entries.push(together);
        return print_json(&entries);
    }
    let mut text = text(&entries);
    text.push_str(&format!(
        "\nSeveral in one component:\n  by the bucket's name: kvfuse fuse app.wasm --store NAME --bucket BUCKET=NAME ({})\n  \
         for a labelled import: kvfuse fuse app.wasm --store LABEL=NAME; LABEL_KEYVALUE_… are variables for it alone\n",
        files.join("; ")
    ));
    for variable in ROUTING {
        text.push_str(&format!("  variable    {}: {}, such as {}\n", variable.name, variable.about, variable.example));
    }
    print(&text)
}

fn entry(store: &'static Store) -> Result<Entry> {
    let providers = catalogue::providers(store)?;
    let imports =
        |start: &str| providers.iter().any(|p| p.world.imports.iter().any(|item| item.name.starts_with(start)));
    let needs = [
        ("wasi:filesystem/", "a directory"),
        ("wasi:http/", "HTTP to its server"),
        ("wasi:sockets/", "TCP to its server"),
    ];
    // The providers of every store take the variables of all of them.
    let all: &[Store] = if store.name == TOGETHER.name { STORES } else { &[] };
    let mut variables: Vec<&Variable> = Vec::new();
    for variable in all.iter().flat_map(|store| store.variables).chain(store.variables).chain(COMMON) {
        if !variables.iter().any(|known| known.name == variable.name) {
            variables.push(variable);
        }
    }
    Ok(Entry {
        store: Some(store.name),
        about: store.about,
        needs: needs.into_iter().filter(|(start, _)| imports(start)).map(|(_, words)| words).collect(),
        variables: variables.into_iter().map(Described::from).collect(),
        providers: providers
            .into_iter()
            .map(|provider| {
                let exports: Vec<_> = provider.world.exports.iter().filter(|item| is_keyvalue(&item.name)).collect();
                let mut generations = packages(&exports);
                generations.sort();
                File { bytes: provider.bytes.len(), generations, file: provider.file }
            })
            .collect(),
    })
}

fn text(entries: &[Entry]) -> String {
    let mut out = String::new();
    for entry in entries {
        out.push_str(&format!("{}: {}\n", entry.store.unwrap_or_default(), entry.about));
        let needs = if entry.needs.is_empty() { "nothing".into() } else { entry.needs.join(", ") };
        out.push_str(&format!("  needs       {needs}\n"));
        for file in &entry.providers {
            out.push_str(&format!(
                "  provider    {}, {} bytes: {}\n",
                file.file,
                file.bytes,
                file.generations.join(", ")
            ));
        }
        for variable in &entry.variables {
            let required = if variable.required { " (required)" } else { "" };
            let Described { name, about, example, .. } = variable;
            let example = if example.is_empty() { String::new() } else { format!(", such as {example}") };
            out.push_str(&format!("  variable    {name}{required}: {about}{example}\n"));
        }
        out.push('\n');
    }
    out.push_str("Use one with: kvfuse fuse app.wasm --store NAME\n");
    out
}
