//! What the guests have in common: named cases, run one at a time.
//!
//! A guest is a command. With `--list` it prints its cases, one on each line. With the name of a case it runs that
//! case, which passes if it does not panic. Anything else is an error.

/// Makes the `main` of a guest from functions. Each one is a case.
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

/// What the cases of the drafts have in common, for the bindings of the guest that uses the macro: a bucket, the
/// message of an error, and all keys of a bucket. `$cursor` converts the cursor of a page to the argument of the next
/// call.
///
/// Needs in scope: `store`, `Bucket`, `Error`.
#[macro_export]
macro_rules! drafts {
    (cursor: $cursor:expr) => {
        fn open() -> Bucket {
            store::open("test").expect("opens")
        }

        fn reason(error: Error) -> String {
            match error {
                Error::Other(reason) => reason,
                other => panic!("{other:?} gives no reason"),
            }
        }

        fn keys(bucket: &Bucket) -> Vec<String> {
            let (mut keys, mut cursor) = (Vec::new(), None);
            loop {
                let page = bucket.list_keys($cursor(&cursor)).expect("a page");
                keys.extend(page.keys);
                cursor = page.cursor;
                if cursor.is_none() {
                    return keys;
                }
            }
        }
    };
}

/// Keys that a careless store confuses, as in the contract's tests.
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
