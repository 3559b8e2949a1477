//! Which provider fits a component, and what fusing the two gives.

use crate::catalogue::Provider;
use crate::generation::{self, Other};
use crate::refusal::{Refusal, Result, chain};
use crate::subject::{Subject, packages};
use kvfuse_compose::{Item, Misfit, Wire, connect, fit, renames};

pub struct Plan {
    pub provider: Provider,
    pub wires: Vec<Wire>,
}

impl Plan {
    /// The first provider that exports every key-value interface that the component imports.
    pub fn new(subject: &Subject, providers: Vec<Provider>) -> Result<Self> {
        if providers.iter().all(|provider| subject.wanted(&provider.world.exports).is_empty()) {
            return no_imports(subject).err();
        }
        if subject.world.exports.is_empty() {
            return Refusal::new(subject.path.display(), "this component exports nothing, so it cannot be used")
                .note("a file that was cut off between two sections looks like this")
                .help("build it again; if it came over a network, fetch it again")
                .err();
        }
        let mut refused: Vec<(Provider, Vec<Misfit>)> = Vec::new();
        for provider in providers {
            let wanted = subject.wanted(&provider.world.exports);
            match fit(&wanted, &provider.world.exports) {
                Ok(wires) => return Ok(Self { provider, wires }),
                Err(misfits) => refused.push((provider, misfits)),
            }
        }
        misfit(subject, &refused).err()
    }

    pub fn fuse(&self, subject: &Subject) -> Result<Vec<u8>> {
        connect(&subject.bytes, &self.provider.bytes, &self.wires).map_err(|e| {
            Box::new(
                Refusal::new(subject.path.display(), format!("fusing with {} failed", self.provider.title()))
                    .note(chain(&e))
                    .help("please report this: every function fits, so it should have worked"),
            )
        })
    }

    /// What the fused component will import; [`connect`] checks it.
    pub fn imports_after(&self, subject: &Subject) -> Vec<Item> {
        let connected = |name: &str| self.wires.iter().any(|wire| wire.import == name);
        let left = subject.world.imports.iter().filter(|item| !connected(&item.name));
        let mut imports: Vec<Item> = Vec::new();
        // If this fails, fusing fails as well, and gives the reason.
        let renames = renames(&subject.world, &self.provider.world, &self.wires).unwrap_or_default();
        for item in left.chain(&self.provider.world.imports) {
            let renamed = renames.iter().find(|(from, _)| *from == item.name).map(|(_, to)| to);
            let name = renamed.unwrap_or(&item.name);
            if !imports.iter().any(|import| import.name == *name) {
                imports.push(Item { name: name.clone(), ..item.clone() });
            }
        }
        imports
    }
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

/// A key-value interface that no store has, which says more than its functions would.
fn of_another_family(place: String, others: &[Other]) -> Refusal {
    let packages: Vec<_> = others.iter().map(|other| other.package.as_str()).collect();
    let mut refusal = Refusal::new(place, format!("no store has the interface {}", packages.join(" and ")));
    for other in others {
        refusal = refusal.note(format!("{} is {}", other.package, other.about));
    }
    refusal.help(
        "build it against a generation of wasi:keyvalue that kvfuse stores lists, or give your own provider: \
         --provider my.wasm",
    )
}

fn misfit(subject: &Subject, refused: &[(Provider, Vec<Misfit>)]) -> Refusal {
    let wanted = subject.keyvalue();
    let generations = packages(&wanted);
    let place = subject.path.display();
    let built_in = refused.iter().all(|(provider, _)| provider.store.is_some());
    let others = generation::others(&subject.world.imports);
    if built_in && !others.is_empty() {
        return of_another_family(place.to_string(), &others);
    }
    // Each generation is available, but not all of them in one provider.
    let covered = |package: &String| refused.iter().any(|(_, misfits)| misfits.iter().all(|m| m.wanted != *package));
    if generations.len() > 1 && generations.iter().all(covered) {
        let mut refusal =
            Refusal::new(place, "no single provider has all the generations of key-value that this component imports");
        for (provider, misfits) in refused {
            let lacks: Vec<_> = misfits.iter().map(|m| m.wanted.as_str()).collect();
            refusal = refusal.note(format!("{} lacks {}", provider.title(), lacks.join(", ")));
        }
        return refusal.help("two shapes under one version cannot be exported at once: move your code to one of them");
    }
    // Otherwise the nearest provider explains most.
    let distance = |misfits: &[Misfit]| misfits.iter().map(|m| m.differences.len()).sum::<usize>();
    let nearest = refused.iter().min_by_key(|(_, misfits)| distance(misfits));
    let Some((provider, misfits)) = nearest else {
        return Refusal::new(place, "there is no provider to fuse with");
    };
    let one = format!("this component imports {}, which {} does not have", generations.join(" and "), provider.title());
    let many = format!(
        "this component imports {} in a shape that no known generation has",
        misfits.iter().map(|m| m.wanted.as_str()).collect::<Vec<_>>().join(" and ")
    );
    let mut refusal = Refusal::new(place, if provider.store.is_none() { one } else { many });
    for misfit in misfits {
        refusal = refusal.note(differences(misfit));
    }
    let help = if provider.store.is_none() {
        "use a provider for this generation, or leave out --provider for a built-in store"
    } else {
        "build it against a generation that kvfuse stores lists, or give your own provider: --provider my.wasm"
    };
    refusal.help(help)
}

fn differences(misfit: &Misfit) -> String {
    let mut text = match &misfit.nearest {
        Some(nearest) => format!("compared with {nearest}, function by function:"),
        None => format!("no package called {} is known; the component imports", misfit.wanted),
    };
    for difference in &misfit.differences {
        let wanted = format!("\n  {}/{}", difference.interface, difference.wanted);
        match (&difference.offered, &misfit.nearest) {
            (Some(offered), _) => {
                text.push_str(&format!("{wanted}\n  {}/{offered}   <- what the provider has", difference.interface));
            }
            (None, Some(_)) => text.push_str(&format!("{wanted}\n  (the provider does not have it)")),
            (None, None) => text.push_str(&wanted),
        }
    }
    text
}
