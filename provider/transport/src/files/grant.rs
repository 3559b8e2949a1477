//! The choice among the granted directories.

use kvfuse_core::{Error, Kind, Result, Settings};

/// The variable that chooses a directory.
pub const VARIABLE: &str = "KEYVALUE_DIR";

/// Chooses among granted directories, given their names. Returns the index of one of them and the path inside it (empty
/// for the directory itself).
///
/// ```
/// use kvfuse_core::Settings;
/// use kvfuse_transport::files::grant::choose;
///
/// let settings = Settings::new([("KEYVALUE_DIR".to_string(), "/data/app".to_string())]);
/// assert_eq!(choose(&["/cache".into(), "/data".into()], &settings)?, (1, "app".into()));
/// # Ok::<(), kvfuse_core::Error>(())
/// ```
///
/// # Errors
/// [`Unavailable`](Kind::Unavailable), with what to grant or set.
pub fn choose(granted: &[String], settings: &Settings) -> Result<(usize, String)> {
    if granted.is_empty() {
        return Err(Error::new(
            Kind::Unavailable,
            "no directory was granted to store data in; grant one (with wasmtime, add --dir data::/; on Node, through \
             jco, it is a preopen), or use the bucket :memory:, whose data is lost when the instance ends",
        ));
    }
    let Some(wanted) = settings.get(VARIABLE) else {
        return match granted {
            [_] => Ok((0, String::new())),
            _ => Err(Error::new(
                Kind::Unavailable,
                format!(
                    "{} directories were granted ({}), so the one for the data has to be chosen; set {VARIABLE} to one of \
                     them or to a path inside one",
                    granted.len(),
                    names(granted)
                ),
            )),
        };
    };
    let path = parts(wanted);
    if path.contains(&"..") {
        return Err(Error::new(
            Kind::Unavailable,
            format!("{VARIABLE}={wanted} contains \"..\"; write the path without it"),
        ));
    }
    // The longest granted name that is a prefix of the path, component by component.
    let best = granted
        .iter()
        .enumerate()
        .filter_map(|(index, name)| {
            let prefix = parts(name);
            let rest = path.strip_prefix(prefix.as_slice())?;
            Some((prefix.len(), index, rest.join("/")))
        })
        .max_by_key(|(length, ..)| *length);
    best.map(|(_, index, rest)| (index, rest)).ok_or_else(|| {
        Error::new(
            Kind::Unavailable,
            format!("{VARIABLE}={wanted} is not inside a granted directory; granted: {}", names(granted)),
        )
    })
}

fn parts(path: &str) -> Vec<&str> {
    path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect()
}

fn names(granted: &[String]) -> String {
    granted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(granted: &[&str], variable: &str) -> Result<(usize, String)> {
        let granted: Vec<_> = granted.iter().map(ToString::to_string).collect();
        choose(&granted, &Settings::new([(VARIABLE.to_string(), variable.to_string())]))
    }

    #[test]
    fn without_a_grant_the_error_says_what_to_grant() {
        let error = run(&[], "").unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("no directory was granted"), "{error}");
        for host in ["with wasmtime, add --dir data::/", "on Node, through jco, it is a preopen"] {
            assert!(error.message().contains(host), "{error}");
        }
        assert!(error.message().contains(":memory:"), "{error}");
    }

    #[test]
    fn a_single_grant_needs_no_variable_and_several_do() {
        assert_eq!(run(&["/"], ""), Ok((0, String::new())));
        let error = run(&["/data", "/cache"], "").unwrap_err();
        assert!(error.message().contains("/data, /cache") && error.message().contains(VARIABLE), "{error}");
    }

    #[test]
    fn the_variable_names_a_grant_or_a_path_inside_one() {
        for (granted, variable, expected) in [
            (&["/data", "/cache"][..], "/cache", (1, "")),
            (&["/data", "/cache"], "/cache/", (1, "")),
            (&["/data", "/cache"], "/cache/a//b", (1, "a/b")),
            (&["/data", "/data/in"], "/data/in/x", (1, "x")),
            (&["/", "/data"], "/other", (0, "other")),
            (&["/", "/data"], "/database", (0, "database")),
            (&[".", "b"], "./b", (1, "")),
            (&["."], "here", (0, "here")),
        ] {
            assert_eq!(run(granted, variable), Ok((expected.0, expected.1.to_string())), "{granted:?} {variable}");
        }
    }

    #[test]
    fn a_path_outside_every_grant_is_refused() {
        for variable in ["/else", "/data/../etc", "..", "/databases"] {
            assert_eq!(run(&["/data"], variable).unwrap_err().kind(), Kind::Unavailable, "{variable}");
        }
    }
}
