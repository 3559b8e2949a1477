//! Which providers fit a component, and what fusing them gives.

use crate::catalogue::{self, Provider};
use crate::choice::{Choice, Stores};
use crate::form::{Form, Wanted};
use crate::generation;
use crate::labels;
use crate::misfit::{misfit, of_another_family};
use crate::refusal::{Refusal, Result, chain};
use crate::subject::Subject;
use crate::table::Store;
use kvfuse_compose::{
    Group, Item, Misfit, Runner, Settings, Supply, Wire, World, connect_all, connect_runner, fit, flatten, renames,
    without_imports,
};
use kvfuse_core::settings::{DEFAULT_STORE, FUSED_STORES, LABEL, LABELS, ROUTES, WATCH, WATCH_NAME, label_prefix};
use std::borrow::Cow;

pub struct Plan {
    /// All that will be inside, as one.
    pub provider: Provider,
    pub parts: Vec<Part>,
    /// The runner that calls the component for changes, if it is to be called.
    runner: Option<Calls>,
}

/// A runner, what it imports from the component, and the part that provides the rest.
struct Calls {
    component: &'static [u8],
    wires: Vec<Wire>,
    part: usize,
}

/// An instance of a provider, for the imports without a label or for one label, or for several whose buckets are of one type.
pub struct Part {
    pub label: Option<String>,
    /// The stores that it is used for, each with the label of the imports that have it.
    pub stores: Vec<(Option<&'static str>, Option<String>)>,
    pub provider: Provider,
    wires: Vec<Wire>,
    settings: Settings,
    /// The imports that open buckets of one type, with their labels.
    opened: Vec<(String, String)>,
}

impl Plan {
    /// For each import, the first provider of its store that exports what is imported.
    pub fn new(subject: &Subject, choice: &Choice) -> Result<Self> {
        let parts = match choice {
            Choice::Provider(provider) => own(subject, provider)?,
            Choice::Stores(stores) => built_in(subject, stores)?,
        };
        match Provider::union(parts.iter().map(|part| part.provider.clone())) {
            Some(provider) => Ok(Self { provider, parts, runner: None }),
            None => no_imports(subject).err(),
        }
    }

    /// The same with a runner that calls the component for each change of `target`: a bucket, or bucket/prefix.
    pub fn watching(mut self, subject: &Subject, target: &str) -> Result<Self> {
        let place = subject.path.display().to_string();
        if target.is_empty() || target.starts_with('/') || target.chars().any(char::is_control) {
            return Refusal::new("--watch", format!("{target:?} is not a bucket, or bucket/prefix"))
                .help("--watch orders, or --watch orders/paid/")
                .err();
        }
        let Some((called, component)) = catalogue::runner(&subject.world.exports) else {
            let known: Vec<_> = crate::table::RUNNERS.iter().map(|runner| runner.calls).collect();
            return Refusal::new(place, "this component exports nothing that can be called for a change")
                .note(format!("what can be called: {}", known.join(", ")))
                .help("export one of them in your WIT world, such as: export wasi:keyvalue/watcher@0.2.0-draft2;")
                .err();
        };
        let broken =
            |e: kvfuse_compose::Error| Box::new(Refusal::new(called.name, "it cannot be read").note(chain(&e)));
        let runner = World::of(component).map_err(broken)?;
        let wanted: Vec<_> = runner.imports.iter().filter(|item| item.name == called.calls).collect();
        let wires = fit(&wanted, &subject.world.exports).map_err(|misfits| {
            let differences = misfits.iter().flat_map(|misfit| &misfit.differences);
            let lines: Vec<_> = differences.map(|difference| difference.wanted.as_str()).collect();
            Box::new(
                Refusal::new(&place, format!("its {} is not in the shape that was published", called.calls))
                    .note(format!("what would be called:\n{}", lines.join("\n"))),
            )
        })?;
        let plain = self.parts.iter_mut().enumerate().find(|(_, part)| part.label.is_none());
        let Some((number, part)) = plain else {
            return Refusal::new(place, "the buckets passed to it would belong to a labelled import")
                .note("a watch interface takes its buckets from the imports without a label, and there are none")
                .err();
        };
        if !part.opened.is_empty() {
            return Refusal::new(
                place,
                "a component with labelled imports of this interface cannot be called for changes",
            )
            .note(format!("the buckets of {} are of one type", part.provider.labels.join(", ")))
            .help("import the interface without a label, and tell your buckets apart by their names")
            .err();
        }
        let tells = |item: &Item| item.name.starts_with("kvfuse:provider/subscription@");
        if !part.provider.world.exports.iter().any(tells) {
            return Refusal::new(place, format!("{} cannot report changes", part.provider.title()))
                .help("leave out --provider: the built-in stores can")
                .err();
        }
        let name = subject.path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let settings = std::mem::take(&mut part.settings);
        part.settings = settings.with_fixed(WATCH, target).with_default(WATCH_NAME, &name);
        self.runner = Some(Calls { component, wires, part: number });
        Ok(self)
    }

    /// The fused component and its form.
    pub fn fuse(&self, subject: &Subject, wanted: Wanted) -> Result<(Vec<u8>, Form)> {
        let providers = self.providers(subject)?;
        let supplies = self.supplies(&providers);
        let form = match self.flat(subject, &supplies, wanted) {
            Ok(flat) => return Ok(flat),
            Err(form) => form,
        };
        let fused = match &self.runner {
            None => connect_all(&subject.bytes, &supplies),
            Some(Calls { component, wires, part }) => {
                let runner = Runner { component, calls: wires.clone(), supply: *part };
                connect_runner(&subject.bytes, &supplies, &runner)
            }
        };
        Ok((fused.map_err(|e| self.failed(subject, &e))?, form))
    }

    /// The form that fusing gives, and what the fused component will import.
    pub fn outcome(&self, subject: &Subject, wanted: Wanted) -> Result<(Form, Vec<Item>)> {
        let providers = self.providers(subject)?;
        Ok(match self.flat(subject, &self.supplies(&providers), wanted) {
            // Its imports keep the versions of their parts, or get others.
            Ok((flat, form)) => (form, World::of(&flat).map_or_else(|_| self.imports_after(subject), |w| w.imports)),
            Err(form) => (form, self.imports_after(subject)),
        })
    }

    /// The flat component and its form, or the form that it has instead.
    fn flat(
        &self,
        subject: &Subject,
        supplies: &[Supply<'_>],
        wanted: Wanted,
    ) -> std::result::Result<(Vec<u8>, Form), Form> {
        match (&self.runner, wanted) {
            (Some(_), _) => Err(Form::with_a_runner()),
            (None, Wanted::Composed) => Err(Form::asked()),
            (None, Wanted::Flat(memories)) => match flatten(&subject.bytes, supplies, memories) {
                Ok(flat) => Ok((flat, Form::flat(memories))),
                Err(reason) => Err(Form::composed(&reason)),
            },
        }
    }

    /// The providers of the parts, without what they import for stores that they are not used for.
    fn providers(&self, subject: &Subject) -> Result<Vec<Cow<'_, [u8]>>> {
        self.parts.iter().map(|part| part.bytes().map_err(|e| self.failed(subject, &e))).collect()
    }

    fn supplies<'a>(&self, providers: &'a [Cow<'_, [u8]>]) -> Vec<Supply<'a>> {
        self.parts
            .iter()
            .zip(providers)
            .map(|(part, provider)| Supply {
                provider,
                wires: part.wires.clone(),
                settings: part.settings.clone(),
                labels: part.opened.clone(),
            })
            .collect()
    }

    fn failed(&self, subject: &Subject, e: &kvfuse_compose::Error) -> Box<Refusal> {
        Box::new(
            Refusal::new(subject.path.display(), format!("fusing with {} failed", self.provider.title()))
                .note(chain(e))
                .help("please report this: every function fits, so it should have worked"),
        )
    }

    /// What the component will import if it is composed; [`connect_all`] checks it.
    pub fn imports_after(&self, subject: &Subject) -> Vec<Item> {
        let connected = |name: &str| self.parts.iter().any(|part| part.wires.iter().any(|wire| wire.import == name));
        let left = subject.world.imports.iter().filter(|item| !connected(&item.name));
        let mut imports: Vec<Item> = left.cloned().collect();
        for part in &self.parts {
            // If this fails, fusing fails as well, and gives the reason.
            let renames = renames(&subject.world, &part.provider.world, &part.wires).unwrap_or_default();
            for item in &part.provider.world.imports {
                let renamed = renames.iter().find(|(from, _)| *from == item.name).map(|(_, to)| to);
                let name = renamed.unwrap_or(&item.name);
                if !imports.iter().any(|import| import.name == *name) {
                    imports.push(Item { name: name.clone(), ..item.clone() });
                }
            }
        }
        imports
    }
}

impl Part {
    fn bytes(&self) -> std::result::Result<Cow<'_, [u8]>, kvfuse_compose::Error> {
        match self.absent() {
            absent if absent.is_empty() => Ok(Cow::Borrowed(&self.provider.bytes)),
            absent => without_imports(&self.provider.bytes, &absent).map(Cow::Owned),
        }
    }

    /// What the provider imports for stores that it is not used for.
    fn absent(&self) -> Vec<String> {
        if !self.provider.routes() {
            return Vec::new();
        }
        let used = |name: &str| self.provider.world.imports.iter().any(|item| item.name == name);
        let all = crate::table::STORES.iter().flat_map(|store| store.imports);
        let mut absent: Vec<_> = all.filter(|name| !used(name)).map(ToString::to_string).collect();
        absent.sort_unstable();
        absent.dedup();
        absent
    }
}

/// With the stores that this program carries.
fn built_in(subject: &Subject, stores: &Stores) -> Result<Vec<Part>> {
    let wanted = subject.keyvalue();
    if wanted.is_empty() {
        return no_imports(subject).err();
    }
    useful(subject)?;
    let groups = labels::grouped(&wanted);
    labels::check(subject, stores, &groups)?;
    groups.iter().map(|group| part(subject, stores, group)).collect()
}

fn part(subject: &Subject, stores: &Stores, group: &Group) -> Result<Part> {
    let used = labels::used(stores, group);
    let mut distinct: Vec<&'static Store> = Vec::new();
    for (store, _) in &used {
        if !distinct.iter().any(|known| known.name == store.name) {
            distinct.push(store);
        }
    }
    let shared = labels::shared(group);
    let mut settings = Settings::default();
    let providers = match distinct.as_slice() {
        [store] => catalogue::providers(store)?,
        several => {
            if let Some((store, plain)) = several.iter().find_map(|store| Some((store, store.extends?.store))) {
                return Refusal::new("--store", format!("the store {} cannot be one of several here", store.name))
                    .note("the labels open buckets of one type, so one provider serves all of them")
                    .note(format!("the components with several stores have {plain}, without TLS"))
                    .err();
            }
            let names: Vec<_> = several.iter().map(|store| store.name).collect();
            settings = settings.with_default(DEFAULT_STORE, stores.default.name).with_default(ROUTES, &stores.routes());
            settings = settings.with_fixed(FUSED_STORES, &names.join(","));
            for (label, store) in &stores.labels {
                let prefix = label_prefix(label);
                settings = settings.with_fixed(&format!("{prefix}{DEFAULT_STORE}"), store.name);
                settings = settings.with_fixed(&format!("{prefix}{ROUTES}"), "");
            }
            catalogue::together(several)?
        }
    };
    let labels: Vec<&str> = labels::of(group).into_iter().flatten().collect();
    match group.label {
        Some(label) => settings = settings.with_fixed(LABEL, label),
        None if labels.is_empty() => {}
        None => settings = settings.with_fixed(LABELS, &labels.join(",")),
    }
    let mut refused: Vec<(Provider, Vec<Misfit>)> = Vec::new();
    // One with asynchronous functions makes older runtimes refuse the whole component.
    let asynchronous = group.items.iter().any(|item| generation::has_asynchronous(item));
    for provider in providers.into_iter().filter(|provider| asynchronous || !provider.asynchronous()) {
        match fit(&group.items, &provider.world.exports) {
            Ok(wires) => {
                let label = group.label.map(str::to_string);
                let provider = Provider { labels: labels.iter().map(ToString::to_string).collect(), ..provider };
                let stores = used.into_iter().map(|(store, label)| (Some(store.name), label)).collect();
                // Through the import without a label as well: a name that it asks for must not lead to a label's bucket.
                let label_of = |item: &&Item| item.implements.as_ref().map_or(String::new(), |_| item.name.clone());
                let opened = shared.iter().map(|item| (item.name.clone(), label_of(item))).collect();
                return Ok(Part { label, stores, provider, wires, settings, opened });
            }
            Err(misfits) => refused.push((provider, misfits)),
        }
    }
    misfit(subject, &group.items, &refused).err()
}

/// With one instance of the user's own provider.
fn own(subject: &Subject, provider: &Provider) -> Result<Vec<Part>> {
    let wanted = subject.wanted(&provider.world.exports);
    if wanted.is_empty() {
        return no_imports(subject).err();
    }
    useful(subject)?;
    match fit(&wanted, &provider.world.exports) {
        Ok(wires) => {
            kept_apart(subject, provider, &labels::grouped(&wanted), &wires)?;
            let (provider, settings) = (provider.clone(), Settings::default());
            Ok(vec![Part { label: None, stores: vec![(None, None)], provider, wires, settings, opened: Vec::new() }])
        }
        Err(misfits) => misfit(subject, &subject.keyvalue(), &[(provider.clone(), misfits)]).err(),
    }
}

/// Checks that no two labels get the same export: their buckets of the same name would be one bucket.
fn kept_apart(subject: &Subject, provider: &Provider, groups: &[Group], wires: &[Wire]) -> Result<()> {
    let exports = |items: &[&Item]| -> Vec<&str> {
        let of_items = |wire: &&Wire| items.iter().any(|item| item.name == wire.import);
        wires.iter().filter(of_items).map(|wire| wire.export.as_str()).collect()
    };
    // What labels share besides, such as the type of their buckets, they have to share.
    let apart = groups.iter().flat_map(|group| match labels::shared(group) {
        shared if shared.is_empty() => vec![group.items.clone()],
        shared => shared.into_iter().map(|item| vec![item]).collect(),
    });
    let mut taken: Vec<&str> = Vec::new();
    for items in apart {
        let exports = exports(&items);
        if let Some(shared) = exports.iter().find(|export| taken.contains(export)) {
            let labels: Vec<_> = groups.iter().flat_map(labels::of).flatten().collect();
            let lines: Vec<_> = labels.iter().map(|label| format!("export {label}: {shared};")).collect();
            return Refusal::new(subject.path.display(), "this provider cannot keep the labelled imports apart")
                .note(format!("{} has one {shared} for all of: {}", provider.title(), labels.join(", ")))
                .help(format!(
                    "let it export the labels, in its WIT world:\n{}\nor leave out --provider: the built-in stores keep \
                     labels apart",
                    lines.join("\n")
                ))
                .err();
        }
        taken.extend(exports);
    }
    Ok(())
}

/// A component without exports cannot be used.
fn useful(subject: &Subject) -> Result<()> {
    if subject.world.exports.is_empty() {
        return Refusal::new(subject.path.display(), "this component exports nothing, so it cannot be used")
            .note("a file that was cut off between two sections looks like this")
            .help("build it again; if it came over a network, fetch it again")
            .err();
    }
    Ok(())
}

fn no_imports(subject: &Subject) -> Refusal {
    let place = subject.path.display().to_string();
    if let Some(provider) = &subject.inside {
        return Refusal::new(&place, "this component already has a key-value store")
            .note(format!("it contains {} and imports no key-value interface", provider.title()))
            .help(format!("run it: kvfuse run {place}"));
    }
    let others = generation::others(&subject.world.imports);
    if !others.is_empty() {
        return of_another_family(place, &others);
    }
    let imports = &subject.world.imports;
    let list = match imports.len() {
        0 => "nothing".to_string(),
        1..=8 => imports.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join("\n"),
        n => {
            let first: Vec<_> = imports.iter().take(8).map(|item| item.name.as_str()).collect();
            format!("{}\nand {} more", first.join("\n"), n - 8)
        }
    };
    Refusal::new(place, "this component does not import a key-value interface")
        .note(format!("it imports\n{list}"))
        .help(
            "import one in your WIT world, such as: import wasi:keyvalue/store@0.2.0-draft2;\n\
             a compiler leaves out imports that the program never calls",
        )
}
