//! What a fused component needs to be granted when it runs, and the `wasmtime` line that grants it.

use crate::catalogue::Provider;
use crate::subject::{Kind, Subject};
use crate::table::Role;

/// The grants follow from what the provider imports. For the consumer's own imports, nothing is granted except that their
/// interfaces exist.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// The provider keeps files.
    pub directory: bool,
    /// The provider opens connections itself.
    pub sockets: bool,
    /// `wasmtime -S` options for interfaces that are off unless asked for.
    pub interfaces: Vec<&'static str>,
    /// It has labelled imports somewhere inside.
    pub labels: bool,
    /// Interfaces that no runtime has by itself.
    pub unknown: Vec<String>,
}

impl Needs {
    pub fn of(subject: &Subject, provider: Option<&Provider>, imports: &[String]) -> Self {
        let provider_imports =
            |start: &str| provider.is_some_and(|p| p.world.imports.iter().any(|item| item.name.starts_with(start)));
        let imports_any = |start: &str| imports.iter().any(|name| name.starts_with(start));
        let mut needs = Self {
            directory: provider_imports("wasi:filesystem/"),
            sockets: provider_imports("wasi:sockets/"),
            labels: subject.labelled(),
            ..Self::default()
        };
        // By default, `wasmtime serve` provides wasi:http and little else, `wasmtime run` everything but wasi:http.
        let serve = subject.kind == Kind::Handler;
        let beyond_proxy =
            ["wasi:cli/environment", "wasi:cli/exit", "wasi:cli/terminal", "wasi:filesystem/", "wasi:sockets/"];
        if serve && beyond_proxy.iter().any(|start| imports_any(start)) {
            needs.interfaces.push("cli");
        }
        let off = [("wasi:http/", "http"), ("wasi:config/", "config"), ("wasi:nn/", "nn"), ("wasi:tls/", "tls")];
        for (start, option) in off {
            if imports_any(start) && !(serve && option == "http") {
                needs.interfaces.push(option);
            }
        }
        let known = ["cli", "clocks", "filesystem", "io", "random", "sockets", "http", "config", "nn", "tls"];
        let provided = |name: &str| {
            known.iter().any(|package| {
                name.strip_prefix("wasi:").and_then(|n| n.strip_prefix(package)).is_some_and(|n| n.starts_with('/'))
            })
        };
        needs.unknown = imports.iter().filter(|name| !provided(name)).cloned().collect();
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
        }
    }

    /// `None` for a library, which cannot be run by itself.
    ///
    /// Values in the environment may be secret; `--env NAME` passes one on without showing it.
    pub fn render(&self) -> Option<String> {
        let mut words: Vec<String> = match self.subject.kind {
            Kind::Command => vec!["wasmtime".into(), "run".into()],
            Kind::Handler => vec!["wasmtime".into(), "serve".into()],
            Kind::Library => return None,
        };
        let mut options = self.needs.interfaces.clone();
        if self.needs.sockets {
            options.extend(["inherit-network", "allow-ip-name-lookup"]);
        }
        if !options.is_empty() {
            words.extend(["-S".into(), options.join(",")]);
        }
        if self.needs.labels {
            words.extend(["-W".into(), "component-model-implements".into()]);
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
        for variable in self.provider.map(Provider::variables).unwrap_or_default() {
            let set = std::env::var_os(variable.name).is_some();
            if given(variable.name) {
                continue;
            } else if set {
                words.extend(["--env".into(), variable.name.into()]);
            } else if variable.role == Role::Endpoint {
                words.extend(["--env".into(), quote(&format!("{}={}", variable.name, variable.example))]);
            }
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
    /// A variable that the user set, with its value only if that is known not to be secret. `--env NAME` passes it on.
    fn shown<'a>(&self, variable: &'a str) -> &'a str {
        let name = variable.split('=').next().unwrap_or(variable);
        let known = self.provider.map(Provider::variables).unwrap_or_default();
        let public = known.iter().any(|known| known.name == name && known.role == Role::Setting);
        if public { variable } else { name }
    }
}

/// As a POSIX shell reads it back.
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
