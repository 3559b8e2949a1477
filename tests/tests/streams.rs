//! Values that pass as host streams, at a size that would not fit the instance.

use anyhow::Result;
use kvfuse_tests::component;
use kvfuse_tests::lean::{Instance, example};

#[test]
fn a_value_of_1_gib_passes_in_and_out_with_the_instances_memory_under_16_mib() -> Result<()> {
    let fused = kvfuse_compose::compose(&example("large")?, &component("keyvalue")?)?;
    let folder = tempfile::tempdir()?;
    let mut instance = Instance::new(&fused, &["1024"], folder.path())?;
    instance.call("wasi:cli/run@0.2.12", "run", &[])?;
    assert_eq!(instance.output(), "1073741824 bytes, 16384 chunks of 16384 and 0 bytes came back\n");
    println!("the instance's memory, consumer and provider: {} KiB", instance.memory() / 1024);
    assert!(instance.memory() < 16 << 20, "{} bytes", instance.memory());
    Ok(())
}
