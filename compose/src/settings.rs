//! Settings that are fused into a component: a small component between it and the host's environment.

use crate::Interfaces;
use crate::error::Error;
use crate::nested::nested;
use crate::sections::sections;
use std::fmt::Write;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::Payload;

/// The section from which the settings can be read back, one per line.
const SECTION: &str = "kvfuse:settings";
/// The beginning of a line in the section.
const DEFAULT: &str = "default ";
const FIXED: &str = "fixed ";
/// The most bytes of settings: they are for names and short lists.
const MOST: usize = 64 << 10;

/// Environment variables that are fused into a component.
///
/// ```
/// use kvfuse_compose::Settings;
///
/// let settings = Settings::default().with_default("MODE", "full").with_fixed("LABEL", "sessions");
/// assert_eq!(settings.get("LABEL"), Some("sessions"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The variables that the host's environment can override.
    defaults: Vec<(String, String)>,
    /// The variables that it cannot.
    fixed: Vec<(String, String)>,
}

impl Settings {
    /// Adds a variable that the host's environment can override.
    #[must_use]
    pub fn with_default(mut self, name: &str, value: &str) -> Self {
        self.defaults.push((name.into(), value.into()));
        self
    }

    /// Adds a variable that the host's environment cannot override.
    #[must_use]
    pub fn with_fixed(mut self, name: &str, value: &str) -> Self {
        self.fixed.push((name.into(), value.into()));
        self
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.defaults.iter().chain(&self.fixed).rev();
        all.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.defaults.is_empty() && self.fixed.is_empty()
    }

    /// The settings in a composition, in its order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the bytes are not WebAssembly, or damaged.
    pub fn inside(component: &[u8]) -> Result<Vec<Self>, Error> {
        let mut found = Vec::new();
        for part in nested(component)? {
            let Some(bytes) = component.get(part.range) else { continue };
            for section in sections(bytes)? {
                if let Payload::CustomSection(section) = section.payload
                    && section.name() == SECTION
                {
                    found.push(Self::parse(&String::from_utf8_lossy(section.data())));
                }
            }
        }
        Ok(found)
    }

    fn parse(text: &str) -> Self {
        let mut settings = Self::default();
        for line in text.lines() {
            let variable = |rest: &str| rest.split_once('=').map(|(name, value)| (name.into(), value.into()));
            if let Some(variable) = line.strip_prefix(DEFAULT).and_then(variable) {
                settings.defaults.push(variable);
            } else if let Some(variable) = line.strip_prefix(FIXED).and_then(variable) {
                settings.fixed.push(variable);
            }
        }
        settings
    }

    fn text(&self) -> String {
        let lines = |kind, variables: &[(String, String)]| {
            variables.iter().map(|(name, value)| format!("{kind}{name}={value}\n")).collect::<String>()
        };
        lines(DEFAULT, &self.defaults) + &lines(FIXED, &self.fixed)
    }

    /// A component that imports `wasi:cli/environment` under this name and exports it again, with these settings before
    /// and after the host's variables: readers take the last value of a name.
    pub(crate) fn component(&self, environment: &str) -> Result<Vec<u8>, Error> {
        let variables = || self.defaults.iter().chain(&self.fixed);
        let size: usize = variables().map(|(name, value)| name.len().saturating_add(value.len())).sum();
        let malformed = |name: &str, value: &str| {
            name.is_empty() || name.contains(['=', '\n', '\r', '\0']) || value.contains(['\n', '\r', '\0'])
        };
        if let Some((name, _)) = variables().find(|(name, value)| malformed(name, value)) {
            return Err(Error::Settings(format!("{name:?} is not a valid name, or its value has a line break")));
        }
        if size > MOST {
            return Err(Error::Settings(format!("they have {size} bytes; the limit is {MOST}")));
        }
        let mut component = wat::parse_str(self.source(environment)).map_err(|e| Error::Settings(e.to_string()))?;
        let text = self.text();
        CustomSection { name: SECTION.into(), data: text.as_bytes().into() }.append_to_component(&mut component);
        // The result is read back: a name with a quote in it would have made a different component.
        let names = Interfaces::of(&component)?;
        if names.imports != [environment] || names.exports != [environment] {
            return Err(Error::Settings(format!("{environment:?} is not the name of an interface")));
        }
        Ok(component)
    }

    fn source(&self, environment: &str) -> String {
        // In memory: an address for the host's answer; the strings; the two tables of their addresses and sizes; free
        // space.
        let mut strings = String::new();
        let mut at = STRINGS;
        let mut put = |text: &str| {
            let place = at;
            for byte in text.bytes() {
                let _ = write!(strings, "\\{byte:02x}");
            }
            at += text.len();
            (place, text.len())
        };
        let mut table = |variables: &[(String, String)]| {
            let mut bytes = String::new();
            for (name, value) in variables {
                let ((name, name_size), (value, value_size)) = (put(name), put(value));
                for number in [name, name_size, value, value_size] {
                    // Both fit: the settings have at most 64 KiB.
                    for byte in (number as u32).to_le_bytes() {
                        let _ = write!(bytes, "\\{byte:02x}");
                    }
                }
            }
            bytes
        };
        let (defaults, fixed) = (table(&self.defaults), table(&self.fixed));
        let defaults_at = at.next_multiple_of(4);
        let fixed_at = defaults_at + self.defaults.len() * ENTRY;
        let free = fixed_at + self.fixed.len() * ENTRY;
        let values = [
            ("ENVIRONMENT", environment.to_string()),
            ("PAGES", free.div_ceil(1 << 16).to_string()),
            ("STRINGS_AT", STRINGS.to_string()),
            ("STRINGS", strings),
            ("DEFAULTS_AT", defaults_at.to_string()),
            ("DEFAULTS_SIZE", (self.defaults.len() * ENTRY).to_string()),
            ("DEFAULTS", defaults),
            ("FIXED_AT", fixed_at.to_string()),
            ("FIXED_SIZE", (self.fixed.len() * ENTRY).to_string()),
            ("FIXED", fixed),
            ("OWN", (self.defaults.len() + self.fixed.len()).to_string()),
            ("FREE", free.to_string()),
        ];
        let mut source = include_str!("settings.wat").to_string();
        for (name, value) in values {
            source = source.replace(&format!("{{{name}}}"), &value);
        }
        source
    }
}

/// Where the strings begin: after the address and the length of the host's answer.
const STRINGS: usize = 16;
/// The size of a variable in a list: two strings, each an address and a size of 4 bytes.
const ENTRY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::World;

    const ENVIRONMENT: &str = "wasi:cli/environment@0.2.12";

    #[test]
    fn they_are_a_component_between_a_component_and_its_environment_and_can_be_read_back() {
        let settings = Settings::default().with_default("ROUTES", "a=b,c=\"ü\"").with_fixed("LABEL", "x");
        let component = settings.component(ENVIRONMENT).unwrap();
        let world = World::of(&component).unwrap();
        assert_eq!(world.imports[0].functions, world.exports[0].functions);
        assert_eq!(
            world.exports[0].functions["get-environment"].text,
            "get-environment: func() -> list<tuple<string, string>>"
        );
        let mut outer = wasm_encoder::ComponentBuilder::default();
        outer.component_raw(None, &component);
        assert_eq!(Settings::inside(&outer.finish()).unwrap(), [settings]);
    }

    #[test]
    fn what_is_no_variable_or_too_much_is_refused() {
        let large = "x".repeat(MOST);
        for (name, value) in [("", "x"), ("A=B", "x"), ("A", "x\ny"), ("A", large.as_str())] {
            let settings = Settings::default().with_fixed(name, value);
            assert!(matches!(settings.component(ENVIRONMENT), Err(Error::Settings(_))), "{name}");
        }
        let name = "wasi:cli/environment@0.2.12\" (instance)) (import \"a:b/c";
        assert!(Settings::default().with_fixed("A", "x").component(name).is_err());
    }
}
