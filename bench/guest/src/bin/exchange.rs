//! The floor under the networked providers: the same bytes exchanged with the same server by a guest that does nothing
//! else, in the plainest way that the host interface has. `exchange OPERATION TIMES PORT`.

#[cfg(target_arch = "wasm32")]
fn main() {
    guest::main();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
mod guest {
    use kvfuse_bench_guest::{key, time};
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
    use wasip2::io::streams::{InputStream, OutputStream, StreamError};
    use wasip2::sockets::instance_network::instance_network;
    use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
    use wasip2::sockets::tcp::TcpSocket;
    use wasip2::sockets::tcp_create_socket::create_tcp_socket;

    pub fn main() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let times = arguments[1].parse().expect("a number");
        let port = arguments[2].parse().expect("a port");
        let key = format!("default:{}", key(7));
        let value = "v".repeat(100);
        match arguments[0].as_str() {
            "redis-get" => {
                let mut connection = Connection::open(port);
                let set = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$100\r\n{value}\r\n", key.len());
                connection.exchange(set.as_bytes(), "+OK\r\n".len());
                let get = format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
                time(times, || connection.exchange(get.as_bytes(), "$100\r\n\r\n".len() + 100));
            }
            "redis-set" => {
                let mut connection = Connection::open(port);
                let set = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$100\r\n{value}\r\n", key.len());
                time(times, || connection.exchange(set.as_bytes(), "+OK\r\n".len()));
            }
            // In base64: a key of the provider's length, and 100 bytes.
            "etcd-get" => {
                post(port, "/v3/kv/put", &put());
                time(times, || assert!(post(port, "/v3/kv/range", KEY).len() > 100));
            }
            "etcd-set" => time(times, || assert!(post(port, "/v3/kv/put", &put()).len() > 10)),
            other => panic!("no operation {other:?}"),
        }
    }

    const KEY: &str = r#"{"key":"a2V5dmFsdWUvZGVmYXVsdC91c2VyOjAwMDAwMDc="}"#;

    fn put() -> String {
        let value = "dnZ2".repeat(33) + "dg==";
        format!(r#"{{"key":"a2V5dmFsdWUvZGVmYXVsdC91c2VyOjAwMDAwMDc=","value":"{value}"}}"#)
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

        fn exchange(&mut self, request: &[u8], reply: usize) {
            self.output.blocking_write_and_flush(request).unwrap();
            let mut missing = reply;
            while missing > 0 {
                missing -= self.input.blocking_read(64 << 10).unwrap().len();
            }
        }
    }

    fn post(port: u16, path: &str, body: &str) -> Vec<u8> {
        let headers = [
            ("content-type".to_string(), b"application/json".to_vec()),
            ("content-length".to_string(), body.len().to_string().into_bytes()),
        ];
        let request = OutgoingRequest::new(Fields::from_list(&headers).unwrap());
        request.set_method(&Method::Post).unwrap();
        request.set_scheme(Some(&Scheme::Http)).unwrap();
        request.set_authority(Some(&format!("127.0.0.1:{port}"))).unwrap();
        request.set_path_with_query(Some(path)).unwrap();
        let outgoing = request.body().unwrap();
        let answer = handle(request, None).unwrap();
        let stream = outgoing.write().unwrap();
        stream.blocking_write_and_flush(body.as_bytes()).unwrap();
        drop(stream);
        OutgoingBody::finish(outgoing, None).unwrap();
        answer.subscribe().block();
        let response = answer.get().unwrap().unwrap().unwrap();
        assert_eq!(response.status(), 200);
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
}
