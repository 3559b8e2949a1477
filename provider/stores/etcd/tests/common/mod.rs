//! A store on its own etcd cluster.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_core::{Bucket, Result, Store};
use kvfuse_etcd::EtcdStore;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::http::StdHttp;
use kvfuse_servers::settings;
use kvfuse_servers::watchdog::Watchdog;
use std::rc::Rc;

pub type NativeStore = EtcdStore<StdHttp, SystemClock>;

pub fn connect(endpoints: &str, variables: &[(&str, &str)]) -> NativeStore {
    connect_counting(endpoints, variables, StdHttp::default())
}

pub fn connect_counting(endpoints: &str, variables: &[(&str, &str)], http: StdHttp) -> NativeStore {
    let variables = [&[("KEYVALUE_ETCD_ENDPOINTS", endpoints)], variables].concat();
    EtcdStore::new(&settings(&variables), http, SystemClock).expect("the settings are right")
}

pub struct OwnEtcd {
    store: NativeStore,
    pub server: Etcd,
    _watchdog: Watchdog,
}

impl OwnEtcd {
    pub fn start(members: usize, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let server = Etcd::start(members, arguments);
        Self { store: connect(&server.endpoints(), variables), server, _watchdog: Watchdog::of_the_test() }
    }
}

impl Store for OwnEtcd {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}
