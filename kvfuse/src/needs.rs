//! What a fused component needs to be granted when it runs, and the `wasmtime` line that grants it.

use crate::catalogue::Provider;
use crate::host::{Provided, is_third, lacking, provided};
use crate::subject::{Kind, Subject};
use crate::table::Role;
use kvfuse_compose::{Item, ItemKind};

/// The grants follow from what the provider imports. For the consumer's own imports, nothing is granted except that
/// their interfaces exist.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// The provider stores files.
    pub directory: bool,
    /// The provider opens connections itself.
    pub sockets: bool,
    /// `wasmtime -S` options for interfaces that are off by default.
    pub interfaces: Vec<&'static str>,
    /// It has labelled imports somewhere inside.
    pub labels: bool,
    /// It has something of WASI 0.3, or something asynchronous, somewhere inside.
    pub concurrent: bool,
    /// Interfaces that no option of wasmtime provides.
    pub unknown: Vec<String>,
    /// Interfaces that wasmtime provides but `kvfuse run` does not.
    pub lacking: Vec<String>,
}

impl Needs {
    pub fn of(subject: &Subject, provider: Option<&Provider>, imports: &[Item]) -> Self {
        let provider_imports =
            |start: &str| provider.is_some_and(|p| p.world.imports.iter().any(|item| item.name.starts_with(start)));
        let mut needs = Self {
            directory: provider_imports("wasi:filesystem/"),
            sockets: provider_imports("wasi:sockets/"),
            labels: subject.labelled(),
            concurrent: subject.asynchronous
                || provider.is_some_and(Provider::asynchronous)
                || imports.iter().chain(&subject.world.exports).any(|item| is_third(&item.name)),
            ..Self::default()
        };
        for import in imports {
            if lacking(import) {
                needs.lacking.push(import.name.clone());
            }
            match provided(import, subject.kind == Kind::Handler) {
                Provided::Always => {}
                Provided::With(option) if needs.interfaces.contains(&option) => {}
                Provided::With(option) => needs.interfaces.push(option),
                Provided::Never => needs.unknown.push(import.name.clone()),
            }
        }
        needs
    }
}

/// What a `wasmtime` line is made from.
pub struct Line<'a> {
    pub subject: &'a Subject,
    pub provider: Option<&'a Provider>,
    pub needs: &'a Needs,
    /// The fused component.
    pub file: &'a str,
    pub data: &'a str,
    pub address: Option<&'a str>,
    /// Variables that the user set by hand.
    pub variables: &'a [String],
    pub directories: &'a [String],
    pub arguments: &'a [String],
    /// The call of a library's function.
    pub call: Option<&'a str>,
    /// How many requests an instance of a handler answers.
    pub reuse: Option<u32>,
}

impl<'a> Line<'a> {
    /// With default settings.
    pub fn plain(subject: &'a Subject, provider: Option<&'a Provider>, needs: &'a Needs, file: &'a str) -> Self {
        Self {
            subject,
            provider,
            needs,
            file,
            data: "data",
            address: None,
            variables: &[],
            directories: &[],
            arguments: &[],
            call: None,
            reuse: None,
        }
    }

    /// `None` where no line works: wasmtime lacks an import, or a library has no function that can be called from
    /// outside.
    ///
    /// Values in the environment may be secret; `--env NAME` passes one on without showing it.
    pub fn render(&self) -> Option<String> {
        if !self.needs.unknown.is_empty() {
            return None;
        }
        let mut words = vec!["wasmtime".to_string()];
        words.push(if self.subject.kind == Kind::Handler { "serve".into() } else { "run".into() });
        let call = match self.subject.kind {
            Kind::Library if self.call.is_none() => Some(call(self.subject)?),
            _ => self.call.map(str::to_string),
        };
        if let Some(call) = call {
            words.extend(["--invoke".into(), quote(&call)]);
        }
        let mut options = self.needs.interfaces.clone();
        let mut features = Vec::new();
        if self.sequential() {
            options.insert(0, "p3=n");
            features.push("concurrency-support=n");
        }
        if self.needs.sockets {
            options.extend(["inherit-network", "allow-ip-name-lookup"]);
        }
        if !options.is_empty() {
            words.extend(["-S".into(), options.join(",")]);
        }
        if self.needs.labels {
            features.push("component-model-implements");
        }
        if !features.is_empty() {
            words.extend(["-W".into(), features.join(",")]);
        }
        if let Some(reuse) = self.reuse {
            words.extend(["--max-instance-reuse-count".into(), reuse.to_string()]);
        }
        if let Some(address) = self.address {
            words.extend(["--addr".into(), address.into()]);
        }
        if self.needs.directory {
            words.extend(["--dir".into(), quote(&format!("{}::/", self.data))]);
        }
        for directory in self.directories {
            words.extend(["--dir".into(), quote(directory)]);
        }
        let given = |name: &str| self.variables.iter().any(|v| v.split('=').next() == Some(name));
        let set = |name: &str| std::env::var_os(name).is_some();
        let of_labels = self.provider.map(Provider::of_labels).unwrap_or_default();
        for variable in self.provider.map(Provider::variables).unwrap_or_default() {
            let named = |name: &str| given(name) || set(name);
            let for_a_label = || of_labels.iter().any(|(name, known)| known.name == variable.name && named(name));
            if given(variable.name) {
                continue;
            } else if set(variable.name) {
                words.extend(["--env".into(), variable.name.into()]);
            } else if variable.role == Role::Endpoint && !for_a_label() {
                words.extend(["--env".into(), quote(&format!("{}={}", variable.name, variable.example))]);
            }
        }
        for (name, _) in of_labels.iter().filter(|(name, _)| set(name) && !given(name)) {
            words.extend(["--env".into(), name.clone()]);
        }
        for variable in self.variables {
            words.extend(["--env".into(), quote(self.shown(variable))]);
        }
        words.push(quote(self.file));
        words.extend(self.arguments.iter().map(|argument| quote(argument)));
        Some(words.join(" "))
    }
}

impl Line<'_> {
    /// Whether it runs without the machinery for asynchronous calls, which makes every call between the parts cheaper.
    /// `wasmtime serve` needs it. Before wasmtime 46 the options do not exist (36), or some components do not compile
    /// (43 to 45).
    fn sequential(&self) -> bool {
        !self.needs.concurrent && self.subject.kind != Kind::Handler
    }

    /// What to know about the line.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.sequential() {
            notes.push(
                "p3=n and concurrency-support=n make calls of the store cheaper. They need wasmtime 46: leave them out \
                 with an older one"
                    .to_string(),
            );
        }
        if self.needs.labels {
            notes.push("component-model-implements, for labelled imports, needs wasmtime 46".into());
        }
        if self.needs.concurrent {
            notes.push("WASI 0.3 needs wasmtime 46".into());
        }
        if self.subject.kind == Kind::Handler && !self.subject.third() && self.reuse.is_none() {
            notes.push(
                "--max-instance-reuse-count 128 keeps an instance for up to 128 requests, one at a time, and with it the \
                 store's connection: several times faster. The handler's own memory then lives on from request to request"
                    .into(),
            );
        }
        notes
    }

    /// A variable that the user set, with its value only if that is known not to be secret. `--env NAME` passes it on.
    fn shown<'a>(&self, variable: &'a str) -> &'a str {
        let name = variable.split('=').next().unwrap_or(variable);
        let of_labels = self.provider.map(Provider::of_labels).unwrap_or_default();
        let known = self.provider.map(Provider::variables).unwrap_or_default().into_iter();
        let mut known =
            known.map(|known| (known.name, known)).chain(of_labels.iter().map(|(name, known)| (&**name, *known)));
        let public = known.any(|(known, variable)| known == name && variable.role == Role::Setting);
        if public { variable } else { name }
    }
}

/// A call of one of a library's functions, as `--invoke` takes it: of the first one without parameters, or otherwise of
/// the first one, with dots for its arguments. Methods cannot be called from outside.
pub fn call(library: &Subject) -> Option<String> {
    let functions = || {
        library.world.exports.iter().flat_map(|item| {
            let free = item.functions.iter().filter(|(name, _)| !name.contains('['));
            free.map(move |(name, signature)| (item, name, signature))
        })
    };
    let takes_nothing = |text: &str| text.contains("func()");
    let (item, name, signature) =
        functions().find(|(_, _, signature)| takes_nothing(&signature.text)).or_else(|| functions().next())?;
    // A name that only one interface has is enough.
    let alone = functions().filter(|(_, other, _)| *other == name).count() == 1;
    let qualified = match (alone, item.kind, item.name.split_once('@')) {
        (true, ..) | (_, ItemKind::Function | ItemKind::Type, _) => name.clone(),
        (_, _, Some((path, version))) => format!("{path}.{name}@{version}"),
        (_, _, None) => format!("{}.{name}", item.name),
    };
    Some(format!("{qualified}({})", if takes_nothing(&signature.text) { "" } else { "…" }))
}

/// A word quoted for a POSIX shell.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        assert_eq!(quote("data::/"), "data::/");
        assert_eq!(quote("my data::/"), "'my data::/'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
