//! What single host calls cost, without any key-value code: `calls read|append|append-sync|append-read TIMES [BYTES]`.

#[cfg(target_arch = "wasm32")]
fn main() {
    use kvfuse_bench_guest::{send, time};
    use wasip2::filesystem::preopens::get_directories;
    use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let times = arguments.get(1).map_or(1, |text| text.parse().expect("a number"));
    let (directory, _) = get_directories().into_iter().next().expect("a directory");
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = directory.open_at(PathFlags::empty(), "calls", OpenFlags::CREATE, flags).expect("opens");
    let bytes = arguments.get(2).map_or(100, |text| text.parse().expect("a number"));
    let value = vec![b'v'; bytes];
    let stream = file.append_via_stream().expect("appends");
    send(&stream, &value);
    stream.blocking_flush().expect("writes");
    match arguments.first().map_or("", String::as_str) {
        "read" => time(times, || assert_eq!(file.read(bytes as u64, 0).expect("reads").0.len(), bytes)),
        "append" => time(times, || stream.blocking_write_and_flush(&value).expect("writes")),
        "append-sync" => time(times, || {
            stream.blocking_write_and_flush(&value).expect("writes");
            file.sync_data().expect("syncs");
        }),
        // The least for a store that reads back what it appended.
        "append-read" => {
            let mut end = file.stat().expect("has a size").size;
            time(times, || {
                send(&stream, &value);
                if bytes > 4096 {
                    stream.blocking_flush().expect("writes");
                }
                assert_eq!(file.read(value.len() as u64, end).expect("reads").0.len(), value.len());
                end += value.len() as u64;
            });
        }
        other => panic!("no call {other:?}"),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
