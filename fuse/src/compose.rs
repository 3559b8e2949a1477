//! Fusing.

use crate::{Interfaces, write_atomically};
use anyhow::{Context, Result, bail};
use wasm_compose::{composer::ComponentComposer, config::Config};

/// Fuses a consumer with a provider: what the consumer imports and the provider exports is connected inside, everything
/// else stays an import or export of the result. Both sides see one instance of the provider.
///
/// # Errors
/// If either is not a component, if the provider exports nothing that the consumer imports, or if an interface of the
/// same name has another shape in each.
pub fn compose(consumer: &[u8], provider: &[u8]) -> Result<Vec<u8>> {
    let wanted = Interfaces::of(consumer).context("the consumer cannot be read")?.imports;
    let offered = Interfaces::of(provider).context("the provider cannot be read")?.exports;
    let connected: Vec<_> = wanted.iter().filter(|name| offered.contains(name)).collect();
    if connected.is_empty() {
        bail!(
            "the provider exports nothing that the consumer imports\n  the consumer imports: {}\n  the provider exports: {}",
            wanted.join(", "),
            offered.join(", ")
        );
    }

    // wasm-compose works on files, looks for dependencies by name in the folder of its configuration, and calls the
    // parts by their files' names; hence a folder of our own with fixed names.
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let consumer_path = folder.path().join("consumer.wasm");
    let provider_path = folder.path().join("keyvalue-provider.wasm");
    write_atomically(&consumer_path, consumer)?;
    write_atomically(&provider_path, provider)?;
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty)?;
    let config = Config { dir: empty, definitions: vec![provider_path], ..Config::default() };
    let fused = ComponentComposer::new(&consumer_path, &config)
        .compose()
        .context("the consumer and the provider do not fit together")?;

    let left = Interfaces::of(&fused)?.imports;
    if let Some(name) = connected.into_iter().find(|name| left.contains(name)) {
        bail!("the provider exports {name} in another shape than the consumer imports it");
    }
    Ok(fused)
}
