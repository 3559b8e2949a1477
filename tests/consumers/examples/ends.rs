//! The transport's sockets of WASI 0.3 when a server ends its connections. It is at a port of this machine, and closes each of the
//! connections as soon as something has arrived; this asks again and again meanwhile, also by reads that are given up, and then once
//! more after the end. Says how many connections ended as they should.

use futures_util::future::{Either, select};
use kvfuse_transport::clock::{AsyncClock, Moment, WaitingClock};
use kvfuse_transport::sockets::{Input, Network, Output, WaitingNetwork};
use std::pin::pin;

// The transport has an interface of its own for clocks, which does not go with another crate's.
wit_bindgen::generate!({
    inline: "
        package kvfuse:ends;
        world ends {
            export run: async func(port: u16) -> string;
        }
    ",
});

struct Ends;
export!(Ends);

const CONNECTIONS: u32 = 300;

fn soon() -> Moment {
    Moment(WaitingClock.now().0.saturating_add(60_000_000_000))
}

async fn until_the_end(input: &mut impl Input, by_reads: bool) -> Result<(), String> {
    loop {
        let arrived = if by_reads {
            let (read, turn) = (pin!(input.read(soon())), pin!(wit_bindgen::yield_async()));
            match select(read, turn).await {
                Either::Left((read, _)) => Some(read.map_err(|fault| format!("{fault:?}"))?),
                Either::Right(_) => None,
            }
        } else {
            input.at_hand().await.map_err(|fault| format!("{fault:?}"))?
        };
        match arrived {
            Some(bytes) if bytes.is_empty() => return Ok(()),
            Some(bytes) => return Err(format!("{bytes:?} arrived")),
            None => {}
        }
    }
}

async fn one(port: u16, number: u32) -> Result<(), String> {
    let text = |fault| format!("{fault:?}");
    let (mut input, mut output) = WaitingNetwork.connect("127.0.0.1", port, soon()).await.map_err(text)?;
    output.write(b"x", &mut 0, soon()).await.map_err(text)?;
    until_the_end(&mut input, number.is_multiple_of(2)).await?;
    // It has ended for whoever asks again.
    for by_reads in [true, false, true] {
        until_the_end(&mut input, by_reads).await?;
    }
    while output.write(&[b'x'; 1000], &mut 0, soon()).await.is_ok() {}
    match output.write(b"x", &mut 0, soon()).await {
        Ok(()) => Err("a write to what is closed".into()),
        Err(_) => Ok(()),
    }
}

impl Guest for Ends {
    async fn run(port: u16) -> String {
        for number in 0..CONNECTIONS {
            if let Err(error) = one(port, number).await {
                return format!("{number}: {error}");
            }
        }
        format!("{CONNECTIONS} ended")
    }
}
