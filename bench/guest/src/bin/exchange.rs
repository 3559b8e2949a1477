//! The floor under the networked providers: the same bytes exchanged with the same server by a guest that does nothing
//! else, in the plainest way that the host interface has. `exchange redis|memcached|etcd|azure OPERATION TIMES PORT`, for Azure
//! Tables with the date and the authorization of the requests; `exchange file OPERATION TIMES PORT` takes the requests from the file
//! `requests`.

#[cfg(target_arch = "wasm32")]
fn main() {
    guest::main();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
mod guest {
    use kvfuse_bench_guest::{requests, send, time};
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
    use wasip2::io::streams::{InputStream, OutputStream, StreamError};
    use wasip2::sockets::instance_network::instance_network;
    use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
    use wasip2::sockets::tcp::TcpSocket;
    use wasip2::sockets::tcp_create_socket::create_tcp_socket;

    pub fn main() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let times = arguments[2].parse().expect("a number");
        let port = arguments[3].parse().expect("a port");
        let operation = arguments[1].as_str();
        match arguments[0].as_str() {
            "redis" => keep(port, operation, requests::redis, times),
            "memcached" => keep(port, operation, requests::memcached, times),
            "etcd" => {
                exchange_all(port, &requests::etcd("set-many"));
                let what = requests::etcd(operation);
                time(times, || exchange_all(port, &what));
            }
            // The provider, which is measured before, has set the keys.
            "azure" => {
                let what = requests::azure(operation, port, &arguments[4], &arguments[5]);
                time(times, || exchange_all(port, &what));
            }
            "file" => {
                let what = requests::Http::read(&std::fs::read_to_string("requests").expect("a file"));
                time(times, || exchange_all(port, &what));
            }
            other => panic!("no server {other:?}"),
        }
    }

    /// Exchanges over a connection that is kept.
    fn keep(port: u16, operation: &str, request: fn(&str) -> requests::Exchange, times: usize) {
        let mut connection = Connection::open(port);
        connection.exchange(&request("set-many"));
        let what = request(operation);
        time(times, || connection.exchange(&what));
    }

    struct Connection {
        input: InputStream,
        output: OutputStream,
        _socket: TcpSocket,
    }

    impl Connection {
        fn open(port: u16) -> Self {
            let socket = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
            let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
            socket.start_connect(&instance_network(), address).unwrap();
            socket.subscribe().block();
            let (input, output) = socket.finish_connect().unwrap();
            Self { input, output, _socket: socket }
        }

        fn exchange(&mut self, what: &requests::Exchange) {
            send(&self.output, &what.request);
            let mut missing = what.answer;
            while missing > 0 {
                missing -= self.input.blocking_read(64 << 10).unwrap().len();
            }
        }
    }

    fn exchange_all(port: u16, what: &[requests::Http]) {
        what.iter().for_each(|what| _ = exchange(port, what));
    }

    fn exchange(port: u16, what: &requests::Http) -> Vec<u8> {
        let body = &what.body;
        let mut headers: Vec<(String, Vec<u8>)> =
            what.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        headers.push(("content-length".to_string(), body.len().to_string().into_bytes()));
        let request = OutgoingRequest::new(Fields::from_list(&headers).unwrap());
        request.set_method(&method(&what.method)).unwrap();
        request.set_scheme(Some(&Scheme::Http)).unwrap();
        request.set_authority(Some(&format!("127.0.0.1:{port}"))).unwrap();
        request.set_path_with_query(Some(&what.path)).unwrap();
        let outgoing = request.body().unwrap();
        let answer = handle(request, None).unwrap();
        let stream = outgoing.write().unwrap();
        if !body.is_empty() {
            send(&stream, body.as_bytes());
        }
        drop(stream);
        OutgoingBody::finish(outgoing, None).unwrap();
        answer.subscribe().block();
        let response = answer.get().unwrap().unwrap().unwrap();
        assert!((200..300).contains(&response.status()), "{}", response.status());
        let incoming = response.consume().unwrap();
        let stream = incoming.stream().unwrap();
        let mut bytes = Vec::new();
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(piece) => bytes.extend(piece),
                Err(StreamError::Closed) => return bytes,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn method(name: &str) -> Method {
        match name {
            "GET" => Method::Get,
            "PUT" => Method::Put,
            _ => Method::Post,
        }
    }
}
