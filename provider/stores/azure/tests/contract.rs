//! The store keeps the contract, but for values above 1 MiB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

mod azurite {
    use super::common::{NativeStore, connect};
    use kvfuse_core::{Bucket, Result, Store};
    use kvfuse_servers::azure::AzureTables;
    use kvfuse_servers::shared::Shared;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A store with a table of its own. Cases that run at the same time share an emulator, which takes longer to start
    /// than most of them; the last one stops it.
    struct Own(NativeStore, #[allow(dead_code, reason = "it keeps the emulator running")] Arc<AzureTables>);

    impl Store for Own {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            self.0.open(bucket)
        }
    }

    fn store() -> Own {
        static SERVER: Shared<AzureTables> = Shared::new();
        static CASES: AtomicU32 = AtomicU32::new(0);
        let server = SERVER.get(AzureTables::start);
        let table = format!("case{}", CASES.fetch_add(1, Ordering::Relaxed));
        let variables = [("KEYVALUE_AZURE_TABLE", &*table), ("KEYVALUE_TIMEOUT_MS", "120000")];
        Own(connect(&server.endpoint(), &variables), server)
    }

    kvfuse_suite::cases_of_small_values!(store);
    kvfuse_suite::lifetimes!(store);
    kvfuse_suite::cases! { store;
        single: buckets_are_separate;
        swaps: a_value_that_went_away_and_came_back_is_another_version;
    }
}
