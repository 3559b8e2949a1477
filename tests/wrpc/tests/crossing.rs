//! The file provider served over wRPC by one process, and called by another, this one.

use anyhow::{Context, Result};
use bytes::Bytes;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use wrpc_transport::frame::tcp;

wit_bindgen_wrpc::generate!({
    path: "../../wit/wrpc",
    world: "wrpc:keyvalue/imports@0.2.0-draft",
    additional_derives: [PartialEq],
});

use wrpc::keyvalue::{atomics, batch, store};

struct Served {
    process: Child,
    port: u16,
}

impl Served {
    fn start(folder: &Path) -> Result<Self> {
        let provider = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components/keyvalue.wasm");
        let mut process = Command::new(env!("CARGO_BIN_EXE_serve"))
            .args([&provider, folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("a pipe")?).read_line(&mut line)?;
        let port = line.trim().parse().with_context(|| format!("the server said {line:?}; make providers makes its component"))?;
        Ok(Self { process, port })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// Ends this program, which has one test, after far longer than that takes.
fn end_if_it_hangs() {
    std::thread::spawn(|| {
        std::thread::sleep(std::time::Duration::from_secs(600));
        eprintln!("the test has run for 600 s: it hangs, and is ended");
        std::process::exit(101);
    });
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn set_get_list_increment_and_batch_cross_to_another_process_and_their_data_stays() -> Result<()> {
    end_if_it_hangs();
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path())?;
    let client = tcp::Client::from(format!("127.0.0.1:{}", served.port));

    assert_eq!(store::get(&client, (), "b", "key").await?, Ok(None));
    let all: Bytes = (0..=255u8).collect();
    assert_eq!(store::set(&client, (), "b", "key", &all).await?, Ok(()));
    assert_eq!(store::get(&client, (), "b", "key").await?, Ok(Some(all.clone())));
    assert_eq!(store::get(&client, (), "another", "key").await?, Ok(None));
    assert_eq!(store::exists(&client, (), "b", "key").await?, Ok(true));

    let large = Bytes::from(vec![7; 1 << 20]);
    assert_eq!(store::set(&client, (), "b", "large", &large).await?, Ok(()));
    assert_eq!(store::get(&client, (), "b", "large").await?, Ok(Some(large)));
    assert_eq!(store::delete(&client, (), "b", "large").await?, Ok(()));
    assert_eq!(store::delete(&client, (), "b", "large").await?, Ok(()));

    assert_eq!(atomics::increment(&client, (), "b", "counter", 5).await?, Ok(5));
    assert_eq!(atomics::increment(&client, (), "b", "counter", 37).await?, Ok(42));
    let refused = atomics::increment(&client, (), "b", "key", 1).await?;
    assert!(matches!(&refused, Err(store::Error::Other(why)) if why.contains("not a counter")), "{refused:?}");

    let (one, two) = (bytes("1"), bytes("2"));
    assert_eq!(batch::set_many(&client, (), "b", &[("one", &one), ("two", &two)]).await?, Ok(()));
    let got = batch::get_many(&client, (), "b", &["two", "missing", "one"]).await?;
    assert_eq!(got, Ok(vec![Some(("two".to_string(), two)), None, Some(("one".to_string(), one))]));
    assert_eq!(batch::delete_many(&client, (), "b", &["one", "missing"]).await?, Ok(()));

    let page = store::list_keys(&client, (), "b", None).await?.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut keys = page.keys;
    keys.sort();
    assert_eq!((keys, page.cursor), (vec!["counter".to_string(), "key".into(), "two".into()], None));

    drop(served);
    let served = Served::start(folder.path())?;
    let client = tcp::Client::from(format!("127.0.0.1:{}", served.port));
    assert_eq!(store::get(&client, (), "b", "key").await?, Ok(Some(all)), "after the server was started again");
    Ok(())
}
