//! Which providers fit a component, and what fusing them gives.

use crate::catalogue::{self, Provider};
use crate::choice::{Choice, Stores};
use crate::form::{Form, Wanted};
use crate::generation;
use crate::misfit::{misfit, of_another_family};
use crate::refusal::{Refusal, Result, chain};
use crate::subject::Subject;
use kvfuse_compose::{
    Group, Item, Misfit, Runner, Settings, Supply, Wire, World, connect_all, connect_runner, fit, flatten, groups,
    renames, without_imports,
};
use kvfuse_core::settings::{DEFAULT_STORE, FUSED_STORES, LABEL, ROUTES, WATCH, WATCH_NAME};
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

/// An instance of a provider, for the imports without a label or for one label.
pub struct Part {
    pub label: Option<String>,
    pub provider: Provider,
    wires: Vec<Wire>,
    settings: Settings,
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
            .map(|(part, provider)| Supply { provider, wires: part.wires.clone(), settings: part.settings.clone() })
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
    let groups = groups(&wanted);
    check_labels(subject, stores, &groups)?;
    groups.iter().map(|group| part(subject, stores, group)).collect()
}

fn part(subject: &Subject, stores: &Stores, group: &Group) -> Result<Part> {
    let own = stores.labels.iter().find(|(label, _)| Some(label.as_str()) == group.label).map(|(_, store)| *store);
    let used = own.map_or_else(|| stores.routed(), |store| vec![store]);
    let mut settings = Settings::default();
    let providers = match used.as_slice() {
        [store] => catalogue::providers(store)?,
        several => {
            let names: Vec<_> = several.iter().map(|store| store.name).collect();
            settings = settings.with_default(DEFAULT_STORE, stores.default.name).with_default(ROUTES, &stores.routes());
            settings = settings.with_fixed(FUSED_STORES, &names.join(","));
            catalogue::together(several)?
        }
    };
    if let Some(label) = group.label {
        settings = settings.with_fixed(LABEL, label);
    }
    let mut refused: Vec<(Provider, Vec<Misfit>)> = Vec::new();
    for provider in providers {
        match fit(&group.items, &provider.world.exports) {
            Ok(wires) => {
                let label = group.label.map(str::to_string);
                let provider = Provider { labels: label.iter().cloned().collect(), ..provider };
                return Ok(Part { label, provider, wires, settings });
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
            kept_apart(subject, provider, &groups(&wanted), &wires)?;
            let (provider, settings) = (provider.clone(), Settings::default());
            Ok(vec![Part { label: None, provider, wires, settings }])
        }
        Err(misfits) => misfit(subject, &subject.keyvalue(), &[(provider.clone(), misfits)]).err(),
    }
}

/// Checks that no two labels get the same export: their buckets of the same name would be one bucket.
fn kept_apart(subject: &Subject, provider: &Provider, groups: &[Group], wires: &[Wire]) -> Result<()> {
    let exports = |group: &Group| -> Vec<&str> {
        let of_group = |wire: &&Wire| group.items.iter().any(|item| item.name == wire.import);
        wires.iter().filter(of_group).map(|wire| wire.export.as_str()).collect()
    };
    let mut taken: Vec<&str> = Vec::new();
    for group in groups {
        let exports = exports(group);
        if let Some(shared) = exports.iter().find(|export| taken.contains(export)) {
            let labels: Vec<_> = groups.iter().filter_map(|group| group.label).collect();
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

/// Checks that every label and bucket of the command line has an effect.
fn check_labels(subject: &Subject, stores: &Stores, groups: &[Group]) -> Result<()> {
    let known: Vec<_> = groups.iter().filter_map(|group| group.label).collect();
    let list = || if known.is_empty() { "none".into() } else { known.join(", ") };
    for (label, store) in &stores.labels {
        if known.contains(&label.as_str()) {
            continue;
        }
        let refusal = Refusal::new(subject.path.display(), format!("no store can be given to the label {label:?}"));
        let labelled = |item: &Item| item.name == *label && item.implements.is_some();
        return match subject.world.imports.iter().any(labelled) {
            true => refusal
                .note("this import takes its buckets from the imports without a label, so it has their store")
                .help(format!("--store {} is for all of them", store.name)),
            false => refusal.note(format!("labelled key-value imports with a store of their own: {}", list())),
        }
        .err();
    }
    let all_named =
        groups.iter().all(|group| stores.labels.iter().any(|(label, _)| Some(label.as_str()) == group.label));
    if all_named && !stores.buckets.is_empty() {
        return Refusal::new("--bucket", "no import is left for it")
            .note("every labelled import was given a store by --store LABEL=STORE, and that is for all its buckets")
            .err();
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
