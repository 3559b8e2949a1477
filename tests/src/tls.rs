//! The host's HTTP with a test's own certificate issuers, as an embedder would trust a private authority.

use http::{Request, Response};
use http_body_util::BodyExt;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Done), Error>;

/// Without roots, wasmtime's default.
pub struct Hooks(Option<Arc<ClientConfig>>);

impl Hooks {
    pub fn new(roots: Option<Arc<RootCertStore>>) -> Self {
        Self(roots.map(|roots| Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())))
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let config = self.0.clone();
        Box::new(async move {
            match config {
                Some(config) => over_tls(request, config).await,
                None => {
                    let (response, done) = default_send_request(request, options).await?;
                    Ok((response.map(BodyExt::boxed_unsync), Box::new(done) as Done))
                }
            }
        })
    }
}

/// Connects to a numeric address: no more is needed here.
async fn over_tls(mut request: Request<WasiBody>, config: Arc<ClientConfig>) -> Sent {
    let uri = request.uri();
    if uri.scheme_str() != Some("https") {
        return Err(Error::HttpRequestDenied);
    }
    let address = uri.authority().and_then(|authority| authority.as_str().parse::<SocketAddr>().ok());
    let address = address.ok_or(Error::HttpRequestUriInvalid)?;
    let stream = TcpStream::connect(address).await.map_err(Error::Connect)?;
    let name = ServerName::from(address.ip());
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(Error::Tls)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    *request.uri_mut() = uri.path().parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    let response = sender.send_request(request).await?;
    let done = async move { connection.await.map_or(Ok(()), |ended| ended.map_err(Error::from)) };
    Ok((response.map(|body| body.map_err(Error::from).boxed_unsync()), Box::new(done) as Done))
}
