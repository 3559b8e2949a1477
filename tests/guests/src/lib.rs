//! What the guests share: cases with names, run one at a time.
//!
//! A guest is a command. `--list` prints its cases, one per line; the name of a case runs that case, which passes if it
//! does not panic; any other word is an error.

/// Makes a guest's `main` from functions, each of them a case.
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

/// What the cases of the drafts have in common, over the bindings of the guest that calls the macro: a bucket, the reason
/// in an error, and all of a bucket's keys. `$cursor` turns the cursor of a page into the argument of the next call.
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

/// The hostile keys of the contract's tests, which a careless store mixes up.
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
