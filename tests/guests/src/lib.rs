//! What the guests share: cases with names, run one at a time.
//!
//! A guest is a command. `--list` prints its cases, one a line; the name of a case runs that case, which passes if it
//! ends without a panic; any other word is an error.

/// Makes a guest's `main` of functions, each a case.
#[macro_export]
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        fn main() {
            let asked = std::env::args().nth(1).unwrap_or_default();
            match asked.as_str() {
                "--list" => { $(println!("{}", stringify!($case));)+ }
                $(stringify!($case) => $case(),)+
                other => panic!("there is no case {other:?}"),
            }
        }
    };
}

/// The hostile keys of the contract's tests: what a careless store confuses.
pub fn hostile_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "",
        "\0",
        "a",
        "A",
        "a\0",
        "/",
        "..",
        "../../x",
        "/etc/passwd",
        "á",
        "a\u{301}",
        "\r\n",
        "\u{feff}",
        "con",
        "*",
    ]
    .map(String::from)
    .into();
    keys.extend((0..=16u32).filter_map(|plane| char::from_u32((plane << 16) + 0x0fab)).map(String::from));
    keys.push("k".repeat(1 << 20));
    keys
}
