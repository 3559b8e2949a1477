//! What a running component may access, and nothing more.

use super::Host;
use crate::catalogue::Provider;
use crate::cli::Run;
use crate::needs::Needs;
use crate::refusal::{Refusal, Result, code};
use crate::table::Role;
use kvfuse_transport::address::{self, Address};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpCtx, WasiHttpHooks};
use wasmtime_wasi_tls::WasiTlsCtxBuilder;

#[derive(Clone)]
pub struct Grants {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    directories: Vec<(PathBuf, String)>,
    endpoints: Endpoints,
    sockets: bool,
    alone: bool,
}

/// The servers that may be connected to: a host as it was configured, and a port.
#[derive(Clone, Default)]
pub struct Endpoints(Arc<Vec<(String, u16)>>);

/// What the command line grants.
pub struct Flags<'a> {
    pub arguments: &'a [String],
    pub env: &'a [String],
    pub net: &'a [String],
    pub dir: &'a [String],
    pub data: &'a Path,
    /// Whether files are read and written on the thread that runs the component, which has nothing else to do
    /// meanwhile. Otherwise each call is handed to another thread and back.
    pub alone: bool,
}

impl Grants {
    pub fn new(options: &Run, provider: Option<&Provider>, needs: &Needs, alone: bool) -> Result<Self> {
        let Run { arguments, env, net, dir, data, .. } = options;
        Self::with(&Flags { arguments, env, net, dir, data, alone }, provider, needs)
    }

    pub fn with(options: &Flags<'_>, provider: Option<&Provider>, needs: &Needs) -> Result<Self> {
        let mut variables = Vec::new();
        let mut endpoints = Vec::new();
        let known = provider.map(Provider::variables).unwrap_or_default();
        let of_labels = provider.map(Provider::of_labels).unwrap_or_default();
        for name in known.iter().map(|known| known.name).chain(of_labels.iter().map(|(name, _)| name.as_str())) {
            if let Ok(value) = std::env::var(name) {
                variables.push((name.to_string(), value));
            }
        }
        for text in options.env {
            match text.split_once('=') {
                Some((name, value)) => variables.push((name.into(), value.into())),
                None => variables.extend(std::env::var(text).ok().map(|value| (text.clone(), value))),
            }
        }
        for known in known.into_iter().filter(|known| matches!(known.role, Role::Endpoint | Role::Beside)) {
            // The last value counts, as for the component.
            let value = |name: &str| {
                let last = variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
                last.filter(|value| !value.is_empty())
            };
            let names = of_labels.iter().filter(|(_, variable)| variable.name == known.name);
            let names = std::iter::once(known.name).chain(names.map(|(name, _)| name.as_str()));
            let set: Vec<_> = names.filter_map(|name| Some((name, value(name)?))).collect();
            if set.is_empty() && known.role == Role::Endpoint {
                return Refusal::new(known.name, "the store does not know where its server is")
                    .note(format!("{} is not set: {}", known.name, known.about))
                    .help(format!("--env {}={}", known.name, known.example))
                    .with_code(code::NOT_RUN)
                    .err();
            }
            for (name, value) in set {
                // The store parses it in the same way, and also reports what is not checked here, such as the scheme.
                let addresses = Address::parse_list(value).map_err(|invalid| {
                    Refusal::new(name, format!("this variable {invalid}"))
                        .help(format!("--env {name}={}", known.example))
                        .with_code(code::NOT_RUN)
                })?;
                endpoints.extend(addresses.into_iter().filter_map(endpoint).flat_map(with_beside));
            }
        }
        for text in options.net {
            match Address::parse(text).ok().and_then(endpoint) {
                Some(endpoint) => endpoints.push(endpoint),
                None => {
                    return Refusal::new("--net", format!("{text:?} is not a host with a port"))
                        .help("--net example.com:443")
                        .with_code(code::NOT_RUN)
                        .err();
                }
            }
        }
        let mut directories = Vec::new();
        if needs.directory {
            std::fs::create_dir_all(options.data).map_err(|e| {
                let what = format!("the data directory cannot be created: {}", crate::input::reason(&e));
                Box::new(Refusal::file(options.data, what).help("--data names another one").with_code(code::NOT_RUN))
            })?;
            directories.push((options.data.to_path_buf(), "/".into()));
        }
        directories.extend(options.dir.iter().map(|text| {
            let (host, guest) = text.split_once("::").unwrap_or((text, text));
            (PathBuf::from(host), guest.to_string())
        }));
        let sockets = needs.sockets || !options.net.is_empty();
        Ok(Self {
            arguments: options.arguments.to_vec(),
            variables,
            directories,
            endpoints: Endpoints(Arc::new(endpoints)),
            sockets,
            alone: options.alone,
        })
    }

    /// The host's state for a fresh instance.
    pub fn host(&self, component: &Path) -> Result<Host> {
        let mut wasi = WasiCtxBuilder::new();
        let name = component.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        wasi.allow_blocking_current_thread(self.alone);
        wasi.inherit_stdio().arg(name).args(&self.arguments).envs(&self.variables);
        for (path, guest) in &self.directories {
            wasi.preopened_dir(path, guest, FsPerms::ReadWrite).map_err(|e| {
                let what = format!("this directory cannot be granted: {e}");
                Box::new(Refusal::file(path, what).with_code(code::NOT_RUN))
            })?;
        }
        let endpoints = self.endpoints.clone();
        wasi.allow_udp(false).allow_tcp(self.sockets);
        wasi.allow_ip_name_lookup(self.sockets && endpoints.has_names());
        wasi.socket_addr_check(move |address, usage| {
            let endpoints = endpoints.clone();
            Box::pin(async move {
                match usage {
                    SocketAddrUse::TcpConnect => endpoints.allow(address).await,
                    // A connection is bound to any free port first; a chosen port would be that of a server.
                    SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
                    _ => false,
                }
            })
        });
        Ok(Host {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: self.endpoints.clone(),
            // As with `wasmtime run -S config`: the interface exists, and no value is set.
            config: WasiConfigVariables::new(),
            // Over connections that the component was granted, and with the roots that wasmtime has.
            tls: WasiTlsCtxBuilder::new().build(),
            table: ResourceTable::new(),
        })
    }
}

impl Endpoints {
    fn has_names(&self) -> bool {
        self.0.iter().any(|(host, _)| host.parse::<std::net::IpAddr>().is_err())
    }

    /// Whether an address is one of a configured host. Names are looked up each time: servers move.
    async fn allow(&self, address: SocketAddr) -> bool {
        for (host, port) in self.0.iter().filter(|(_, port)| *port == address.port()) {
            let found = tokio::net::lookup_host((host.as_str(), *port)).await;
            if found.is_ok_and(|mut found| found.any(|found| found.ip() == address.ip())) {
                return true;
            }
        }
        false
    }
}

impl WasiHttpHooks for Endpoints {
    fn send_request(
        &mut self,
        request: hyper::Request<WasiBody>,
        options: Option<RequestOptions>,
        done: Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
    ) -> Sent {
        // The port that the URL leaves out.
        let default = if request.uri().scheme_str() == Some("http") { 80 } else { 443 };
        let host = request.uri().host().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_string());
        let port = request.uri().port_u16().unwrap_or(default);
        let allowed = host.is_some_and(|host| self.0.iter().any(|(h, p)| *h == host && *p == port));
        if !allowed {
            return Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) });
        }
        // The rest is wasmtime's default implementation.
        let mut default: [(); 0] = [];
        WasiHttpHooks::send_request(&mut default, request, options, done)
    }
}

type Sent = Box<
    dyn Future<
            Output = Result<
                (hyper::Response<WasiBody>, Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>),
                wasmtime_wasi_http::Error,
            >,
        > + Send,
>;

/// The host and port, if the address has both. Its login is left out.
fn endpoint(address: Address) -> Option<(String, u16)> {
    let port = address.port_or_default()?;
    Some((address.host, port))
}

/// An endpoint, and the one that the store derives from it.
fn with_beside((host, port): (String, u16)) -> impl Iterator<Item = (String, u16)> {
    let beside = address::beside(&host).map(|host| (host, port));
    std::iter::once((host, port)).chain(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_of_a_url_is_its_host_and_port() {
        let endpoint = |text: &str| Address::parse(text).ok().and_then(endpoint);
        let cases = [
            ("redis://cache", ("cache", 6379)),
            // The Redis store takes it as a password, too.
            ("redis://:a,b@cache", ("cache", 6379)),
            ("rediss://user:p%40ss@cache:7000/3", ("cache", 7000)),
            ("http://127.0.0.1:2379", ("127.0.0.1", 2379)),
            ("https://etcd.example", ("etcd.example", 443)),
            ("redis://[::1]:6380", ("::1", 6380)),
            ("db:99", ("db", 99)),
        ];
        for (text, (host, port)) in cases {
            assert_eq!(endpoint(text), Some((host.to_string(), port)), "{text}");
        }
        for text in ["", "redis://", "host", "host:port", "http://:80"] {
            assert_eq!(endpoint(text), None, "{text}");
        }
    }

    #[test]
    fn the_streams_beside_a_table_in_aws_may_be_reached_and_nothing_else() {
        let of = |host: &str| with_beside((host.into(), 443)).map(|(host, _)| host).collect::<Vec<_>>();
        let (table, streams) = ("dynamodb.eu-west-1.amazonaws.com", "streams.dynamodb.eu-west-1.amazonaws.com");
        assert_eq!(of(table), [table, streams]);
        assert_eq!(of("localhost"), ["localhost"]);
    }

    #[tokio::test]
    async fn only_configured_addresses_may_be_connected_to() {
        let endpoints = Endpoints(Arc::new(vec![("127.0.0.1".into(), 6379), ("::1".into(), 6379)]));
        assert!(endpoints.allow("127.0.0.1:6379".parse().unwrap()).await);
        assert!(endpoints.allow("[::1]:6379".parse().unwrap()).await);
        assert!(!endpoints.allow("127.0.0.1:6380".parse().unwrap()).await);
        assert!(!endpoints.allow("127.0.0.2:6379".parse().unwrap()).await);
        assert!(!endpoints.has_names());
    }
}
