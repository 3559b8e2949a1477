//! The published generations of the interface in plain words.

use kvfuse_compose::{Item, Signature, is_keyvalue, split_name};
use kvfuse_table::{GENERATIONS, Mark};

/// A package of a key-value interface that no store has, by its name: in another version of a family that has one, or
/// asynchronous.
pub struct Other {
    pub package: String,
    pub about: &'static str,
}

const ASYNCHRONOUS: &str = "an asynchronous interface, of WASI 0.3; the stores have those of wasmCloud and Spin";

/// The families by their package.
const FAMILIES: &[(&str, &str)] = &[
    ("wasmcloud:keyvalue", "wasmCloud's own interface; the stores have 0.2.0 and 0.1.0"),
    ("spin:key-value", "Spin's own interface; the stores have 3.0.0"),
];

/// The key-value interfaces among these imports that no store supports, each package once.
pub fn others(imports: &[Item]) -> Vec<Other> {
    let mut others: Vec<Other> = Vec::new();
    for item in imports {
        let Some((package, _)) = split_name(item.interface()) else { continue };
        let name = package.split('@').next().unwrap_or(&package);
        let family = FAMILIES.iter().find(|(known, _)| *known == name).map(|(_, about)| *about);
        let asynchronous = is_keyvalue(item.interface()) && has_asynchronous(item);
        let about = family.or(asynchronous.then_some(ASYNCHRONOUS));
        let known = GENERATIONS.iter().any(|known| known.package == package);
        if let (Some(about), false) = (about, known || others.iter().any(|other| other.package == package)) {
            others.push(Other { package, about });
        }
    }
    others
}

/// Whether an interface has an asynchronous function.
pub fn has_asynchronous(item: &Item) -> bool {
    item.functions.values().any(is_asynchronous)
}

/// By the words before its parameters.
fn is_asynchronous(signature: &Signature) -> bool {
    let head = signature.text.split('(').next().unwrap_or_default();
    head.split(' ').any(|word| word == "async")
}

/// What is known about a package: by the interfaces that are used, because versions were used for more than one
/// generation.
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
