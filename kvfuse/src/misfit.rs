//! Why no provider fits, function by function.

use crate::catalogue::Provider;
use crate::generation::{self, Other};
use crate::refusal::Refusal;
use crate::subject::{Subject, packages};
use kvfuse_compose::{Item, Misfit};

/// The refusal of a key-value interface that no store supports, which says more than its functions would.
pub fn of_another_family(place: String, others: &[Other]) -> Refusal {
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

/// The refusal if none of these providers, each with what it lacks, has everything that is wanted.
pub fn misfit(subject: &Subject, wanted: &[&Item], refused: &[(Provider, Vec<Misfit>)]) -> Refusal {
    let generations = packages(wanted);
    let place = subject.path.display();
    let built_in = refused.iter().all(|(provider, _)| !provider.stores.is_empty());
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
    let mut refusal = Refusal::new(place, if provider.stores.is_empty() { one } else { many });
    for misfit in misfits {
        refusal = refusal.note(differences(misfit));
    }
    let help = if provider.stores.is_empty() {
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
