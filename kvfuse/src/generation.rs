//! The published generations of the interface in plain words.

use kvfuse_compose::Item;
use kvfuse_table::{GENERATIONS, Mark};

/// What is known of a package: by the interfaces that are used, because versions were used for more than one generation.
pub fn words(package: &str, items: &[&Item]) -> Option<&'static str> {
    let interfaces: Vec<_> = items.iter().filter_map(|item| kvfuse_compose::split_name(item.interface())).collect();
    let of_package = |interface: &str| interfaces.iter().any(|(p, i)| p == package && *i == interface);
    let known: Vec<_> = GENERATIONS.iter().filter(|known| known.package == package).collect();
    known.iter().find(|known| of_package(known.interface)).or(known.first()).map(|known| known.about)
}

/// The shape of a generation that was published in two shapes under one version. `None` for the others.
pub fn shape(package: &str, items: &[&Item]) -> Option<String> {
    let functions = || {
        let of_package =
            items.iter().filter(|item| kvfuse_compose::split_name(item.interface()).is_some_and(|(p, _)| p == package));
        of_package.flat_map(|item| item.functions.iter())
    };
    let called = |mark: &&Mark| {
        functions().any(|(name, signature)| name.starts_with(mark.function) && signature.shape.contains(mark.signature))
    };
    let marks: Vec<_> = GENERATIONS.iter().filter_map(|generation| generation.mark.as_ref()).collect();
    let marks: Vec<_> = marks.into_iter().filter(|mark| mark.packages.contains(&package)).collect();
    match (marks.iter().copied().find(called), marks.as_slice()) {
        (Some(mark), _) => Some(format!("the shape in which {}", mark.about)),
        (None, [one, others @ ..]) if others.iter().all(|other| other.function == one.function) => {
            Some(format!("either shape: it does not call {}, in which they differ", one.function))
        }
        _ => None,
    }
}
