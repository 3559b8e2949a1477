//! The contract and the faults where calls wait: one call after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::WaitingStore;
use kvfuse_servers::waiting::Blocking;

fn connect(endpoints: &str, variables: &[(&str, &str)]) -> Blocking<WaitingStore> {
    Blocking::new(common::connect_waiting(endpoints, variables, Default::default()))
}

mod one_member {
    use kvfuse_core::{Bucket, Result, Store};
    use kvfuse_servers::etcd::Etcd;
    use kvfuse_servers::watchdog::Watchdog;
    use std::rc::Rc;

    struct Own {
        store: super::Blocking<super::WaitingStore>,
        _server: Etcd,
        _watchdog: Watchdog,
    }

    impl Store for Own {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            self.store.open(bucket)
        }
    }

    kvfuse_suite::contract!(|| {
        let server = Etcd::start(1, &[]);
        Own { store: super::connect(&server.endpoints(), &[]), _server: server, _watchdog: Watchdog::of_the_test() }
    });
}

common::faults!(connect);
