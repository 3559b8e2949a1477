//! A description of a component, for people and for programs.

use crate::catalogue::Provider;
use crate::form::Form;
use crate::generation;
use crate::needs::{Line, Needs};
use crate::plan::Plan;
use crate::subject::{Subject, packages};
use kvfuse_compose::{Item, ItemKind, split_name};
use serde::Serialize;
use std::fmt::Write;

/// What `inspect` finds out. `--json` prints it as it is; the text is made from it.
#[derive(Serialize)]
pub struct Summary {
    pub file: String,
    pub bytes: usize,
    pub kind: &'static str,
    #[serde(skip)]
    pub kind_words: &'static str,
    pub exports: Vec<String>,
    /// The key-value interfaces that it imports.
    pub keyvalue: Vec<Generation>,
    /// The provider inside, if it is fused.
    pub fused_with: Option<Carried>,
    /// How it is fused, or will be.
    pub form: Option<Form>,
    /// The stores whose providers fit it.
    pub fits: Vec<Fits>,
    /// Key-value interfaces that it imports but no store supports.
    pub other_keyvalue: Vec<Generation>,
    /// What it imports now, or will import after fusing with the store chosen.
    pub imports: Vec<String>,
    #[serde(skip)]
    items: Vec<Item>,
    /// Imports that no wasmtime option provides.
    pub unknown_imports: Vec<String>,
    pub fuse: Option<String>,
    /// The `wasmtime` line that runs it (after fusing). None if no line works.
    pub run: Option<String>,
    /// What to know about that line.
    pub run_notes: Vec<String>,
}

#[derive(Serialize)]
pub struct Generation {
    pub package: String,
    pub about: Option<&'static str>,
    pub shape: Option<String>,
    pub interfaces: Vec<Interface>,
}

impl From<generation::Other> for Generation {
    fn from(other: generation::Other) -> Self {
        Self { package: other.package, about: Some(other.about), shape: None, interfaces: Vec::new() }
    }
}

#[derive(Serialize)]
pub struct Interface {
    pub name: String,
    pub label: Option<String>,
    pub functions: Vec<String>,
}

#[derive(Serialize)]
pub struct Carried {
    pub provider: String,
    /// If there is one.
    pub store: Option<&'static str>,
    pub stores: Vec<&'static str>,
    #[serde(skip)]
    pub title: String,
}

#[derive(Serialize)]
pub struct Fits {
    pub store: Option<&'static str>,
    pub provider: String,
    /// The labelled import that it is chosen for.
    pub label: Option<String>,
}

impl Summary {
    /// For a component that is fused, or does not need fusing.
    pub fn plain(subject: &Subject) -> Self {
        let file = subject.path.display().to_string();
        let summary = Self::new(subject, &subject.world.imports);
        summary.running(subject, subject.inside.as_ref(), subject.world.imports.clone(), &file)
    }

    /// For a component that this plan fuses into `output`.
    pub fn planned(
        subject: &Subject,
        plan: &Plan,
        (form, imports): (Form, Vec<Item>),
        others: Vec<Fits>,
        output: &str,
        fuse: String,
    ) -> Self {
        let summary = Self { fits: others, fuse: Some(fuse), form: Some(form), ..Self::new(subject, &imports) };
        summary.running(subject, Some(&plan.provider), imports, output)
    }

    /// Adds what it imports when it runs, and the line that runs it.
    fn running(self, subject: &Subject, provider: Option<&Provider>, items: Vec<Item>, file: &str) -> Self {
        let mut needs = Needs::of(subject, provider, &items);
        // Labels that were connected are still inside.
        needs.labels |= labels_inside(&subject.bytes);
        let line = Line::plain(subject, provider, &needs, file);
        let run = line.render();
        let run_notes = if run.is_some() { line.notes() } else { Vec::new() };
        Self {
            imports: items.iter().map(|item| item.name.clone()).collect(),
            unknown_imports: needs.unknown.clone(),
            items,
            run,
            run_notes,
            ..self
        }
    }

    /// `left` are the imports that it keeps.
    fn new(subject: &Subject, left: &[Item]) -> Self {
        let others = generation::others(left);
        let mut keyvalue = generations(&subject.keyvalue());
        keyvalue.retain(|generation| others.iter().all(|other| other.package != generation.package));
        Self {
            file: subject.path.display().to_string(),
            bytes: subject.bytes.len(),
            kind: subject.kind.key(),
            kind_words: subject.kind.words(),
            exports: subject.world.exports.iter().map(|item| item.name.clone()).collect(),
            keyvalue,
            fused_with: subject.inside.as_ref().map(|provider| Carried {
                provider: provider.file.clone(),
                store: provider.store().map(|store| store.name),
                stores: provider.stores.iter().map(|store| store.name).collect(),
                title: provider.title(),
            }),
            form: subject.inside.as_ref().map(|_| Form::of(&subject.bytes)),
            other_keyvalue: others.into_iter().map(Generation::from).collect(),
            fits: Vec::new(),
            imports: Vec::new(),
            items: Vec::new(),
            unknown_imports: Vec::new(),
            fuse: None,
            run: None,
            run_notes: Vec::new(),
        }
    }

    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        let exports = if self.exports.is_empty() { "nothing".into() } else { self.exports.join(", ") };
        writeln!(out, "{}: {} of {} bytes", self.file, self.kind_words, self.bytes)?;
        row(&mut out, "exports", &exports)?;
        if let Some(inside) = &self.fused_with {
            row(&mut out, "key-value", &format!("inside: {}", inside.title))?;
            if !self.keyvalue.is_empty() {
                row(
                    &mut out,
                    "",
                    "what it still imports gets another store, which does not share data with the one inside",
                )?;
            }
        }
        for other in &self.other_keyvalue {
            row(&mut out, "key-value", &other.package)?;
            row(&mut out, "", &format!("{}; no store has it", other.about.unwrap_or_default()))?;
        }
        for generation in &self.keyvalue {
            row(&mut out, "key-value", &generation.package)?;
            for words in [generation.about, generation.shape.as_deref()].into_iter().flatten() {
                row(&mut out, "", words)?;
            }
            for interface in &generation.interfaces {
                let label = interface.label.as_ref().map(|label| format!(" as {label}")).unwrap_or_default();
                let functions =
                    if interface.functions.is_empty() { "types only".into() } else { interface.functions.join(", ") };
                row(&mut out, "", &format!("{}{label}: {functions}", interface.name))?;
            }
        }
        for (index, fits) in self.fits.iter().enumerate() {
            let store = fits.store.map(|store| format!("{store} ")).unwrap_or_default();
            let label = fits.label.as_ref().map(|label| format!(" for {label}")).unwrap_or_default();
            row(&mut out, if index == 0 { "fits" } else { "" }, &format!("{store}({}){label}", fits.provider))?;
        }
        let title = if self.fuse.is_some() { "will import" } else { "imports" };
        for (index, (package, names)) in grouped(&self.items).into_iter().enumerate() {
            row(&mut out, if index == 0 { title } else { "" }, &format!("{package}: {}", names.join(", ")))?;
        }
        if self.imports.is_empty() {
            row(&mut out, title, "nothing")?;
        }
        if !self.unknown_imports.is_empty() {
            row(&mut out, "beware", &format!("wasmtime does not provide {}", self.unknown_imports.join(", ")))?;
            let help =
                "if the component never calls that, --unknown-imports-trap puts functions that trap in its place";
            row(&mut out, "", help)?;
        }
        if let Some(fuse) = &self.fuse {
            row(&mut out, "fuse", fuse)?;
        }
        if let Some(form) = &self.form {
            row(&mut out, "form", &form.words())?;
        }
        match &self.run {
            Some(run) => row(&mut out, "run", run)?,
            None if !self.unknown_imports.is_empty() => {
                row(&mut out, "run", "on a host that provides what wasmtime does not")?;
            }
            None => row(
                &mut out,
                "run",
                "a library without a function to call: another component or a host uses its exports",
            )?,
        }
        for note in &self.run_notes {
            row(&mut out, "", note)?;
        }
        Ok(out)
    }
}

fn row(out: &mut String, title: &str, text: &str) -> std::fmt::Result {
    writeln!(out, "  {title:<11} {text}")
}

/// `wasi:io/poll@0.2.6` and `wasi:io/streams@0.2.6` are `wasi:io@0.2.6: poll, streams`. What belongs to no package is
/// listed by what it is.
fn grouped(items: &[Item]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for item in items {
        let (group, name) = match (split_name(item.interface()), item.kind, &item.implements) {
            (Some((package, interface)), _, None) => (package, interface.to_string()),
            (Some((package, interface)), _, Some(_)) => (package, format!("{interface} as {}", item.name)),
            (None, ItemKind::Interface, _) => ("interfaces".into(), item.name.clone()),
            (None, ItemKind::Function, _) => ("functions".into(), item.name.clone()),
            (None, ItemKind::Type, _) => ("types".into(), item.name.clone()),
        };
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, names)) => names.push(name),
            None => groups.push((group, vec![name])),
        }
    }
    groups
}

fn generations(items: &[&Item]) -> Vec<Generation> {
    let one = |package: String| Generation {
        about: generation::words(&package, items),
        shape: generation::shape(&package, items),
        interfaces: items
            .iter()
            .filter_map(|item| {
                let (of, name) = split_name(item.interface())?;
                (of == package).then(|| Interface {
                    name: name.to_string(),
                    label: item.implements.as_ref().map(|_| item.name.clone()),
                    functions: item.functions.keys().map(|name| plain_name(name)).collect(),
                })
            })
            .collect(),
        package,
    };
    packages(items).into_iter().map(one).collect()
}

/// `[method]bucket.get` is `bucket.get`.
fn plain_name(name: &str) -> String {
    name.rsplit(']').next().unwrap_or(name).to_string()
}

/// Whether a part has labelled imports, for which the runtime needs an option.
pub fn labels_inside(component: &[u8]) -> bool {
    kvfuse_compose::nested(component).is_ok_and(|parts| parts.iter().any(|part| part.labels))
}
