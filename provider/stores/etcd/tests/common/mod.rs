//! A store on its own etcd cluster.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_core::{Bucket, Result, Store};
use kvfuse_etcd::EtcdStore;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::http::{StdHttp, TokioHttp};
use kvfuse_servers::settings;
use kvfuse_servers::waiting::TokioClock;
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

/// The same engine where calls wait beside each other.
pub type WaitingStore = EtcdStore<TokioHttp, TokioClock>;

pub fn connect_waiting(endpoints: &str, variables: &[(&str, &str)], http: TokioHttp) -> WaitingStore {
    let variables = [&[("KEYVALUE_ETCD_ENDPOINTS", endpoints)], variables].concat();
    EtcdStore::new(&settings(&variables), http, TokioClock).expect("the settings are right")
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

/// The faults that a store has to report truthfully in either world; `every_byte.rs` has them at every byte. `$connect` makes one from endpoints and settings.
#[allow(unused_macros, reason = "each test file uses a part")]
macro_rules! faults {
    ($connect:path) => {
        use kvfuse_core::{Kind, Store};
        use kvfuse_servers::etcd::Etcd;
        use kvfuse_servers::faults::{
            a_missing_server, a_server_that_never_stops_sending, a_server_without_http, every_fault_at_every_nth_byte,
            replies_byte_by_byte,
        };
        use kvfuse_servers::gateway::Gateway;
        use kvfuse_servers::process::wait_until;
        use kvfuse_servers::proxy::{Direction, Fault, Proxy};
        use kvfuse_servers::watchdog::Watchdog;

        fn store(port: u16, time_limit: &str) -> impl Store + use<> {
            $connect(&format!("http://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
        }

        #[test]
        fn a_connection_closed_at_some_byte_is_reported_truthfully() {
            every_fault_at_every_nth_byte(Etcd::start(1, &[]).ports()[0], Fault::Close, true, 7, store);
        }

        #[test]
        fn nonsense_at_some_byte_is_reported_truthfully() {
            every_fault_at_every_nth_byte(Etcd::start(1, &[]).ports()[0], Fault::Nonsense, true, 7, store);
        }

        #[test]
        fn a_server_that_hangs_at_some_byte_times_out_and_is_reported_truthfully() {
            every_fault_at_every_nth_byte(Etcd::start(1, &[]).ports()[0], Fault::Hang, true, 7, store);
        }

        #[test]
        fn a_server_that_never_stops_sending_costs_the_time_limit_and_no_more() {
            a_server_that_never_stops_sending(Etcd::start(1, &[]).ports()[0], Fault::BODY, store);
        }

        #[test]
        fn answers_that_arrive_byte_by_byte_are_read() {
            replies_byte_by_byte(Etcd::start(1, &[]).ports()[0], store);
        }

        #[test]
        fn a_login_cut_off_at_any_byte_is_repeated() {
            let _watchdog = Watchdog::of_the_test();
            let mut etcd = Etcd::start(1, &[]);
            etcd.enable_logins();
            let proxy = Proxy::start(etcd.ports()[0]);
            let login = [("KEYVALUE_ETCD_USERNAME", "root"), ("KEYVALUE_ETCD_PASSWORD", "hunter1")];
            // The login request has about 180 bytes, its answer about 250.
            for direction in [Direction::Request, Direction::Reply] {
                for byte in (0..250).step_by(10) {
                    proxy.plan(direction, Fault::Close, byte);
                    assert_eq!(
                        $connect(&format!("http://127.0.0.1:{}", proxy.port()), &login).open("b").unwrap().get("a"),
                        Ok(None),
                        "{direction:?} {byte}"
                    );
                    proxy.clear();
                }
            }
        }

        /// The first one may have happened, and another client may have deleted the key since: then a second one happens as well.
        #[test]
        fn a_creation_whose_answer_is_lost_is_not_sent_again() {
            let _watchdog = Watchdog::of_the_test();
            let gateway = Gateway::start();
            let bucket = $connect(&gateway.endpoint(), &[]).open("b").unwrap();
            std::thread::spawn(move || {
                drop(gateway.take());
                loop {
                    gateway.take().answer(200, r#"{"header":{"revision":"4"},"succeeded":true}"#);
                }
            });
            assert_eq!(bucket.create("a", b"1", None).map_err(|error| error.kind()), Err(Kind::OutcomeUnknown));
            assert_eq!(bucket.create("a", b"1", None), Ok(true), "it is the first one that was sent");
        }

        #[test]
        fn a_missing_server_is_unavailable() {
            a_missing_server(store);
        }

        #[test]
        fn a_server_other_than_etcd_is_reported_as_such() {
            a_server_without_http(store);
        }

        #[test]
        fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
            let _watchdog = Watchdog::of_the_test();
            let etcd = Etcd::start(1, &[]);
            let bucket = store(etcd.ports()[0], "300").open("b").unwrap();
            wait_until("the first write succeeds", || bucket.set("a", b"1").is_ok());
            etcd.freeze(0);
            assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
            let error = bucket.set("a", b"2").unwrap_err();
            assert_eq!(error.kind(), Kind::OutcomeUnknown);
            assert!(error.message().contains("may or may not have happened"), "{error}");
            etcd.thaw(0);
            wait_until("etcd answers again", || bucket.get("a").is_ok());
        }
    };
}
#[allow(unused_imports, reason = "each test file uses a part")]
pub(crate) use faults;
