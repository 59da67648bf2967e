//! One connection: bytes from the client to the server and back, as the mode says, until both have ended or it is cut.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::line::Line;
use crate::mode::Mode;

const CHUNK: usize = 16 * 1024;

/// Why a connection ended before both sides had ended it.
enum Broken {
    /// One side reset it, or the server can't be reached.
    Outside,
    /// This proxy was told to.
    Cut,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Outside
    }
}

/// Carries one connection to its end. `cut` comes first, to be dropped last: then the sockets are closed and the counts made.
pub(crate) async fn relay(mut cut: watch::Receiver<bool>, line: &Line, mut client: TcpStream) {
    let open = line.count();
    let limit = line.mode.borrow().cut_after_bytes;
    let mut server = None;
    let ended = tokio::select! {
        ended = carry(&mut client, &mut server, line, limit) => ended,
        _ = cut.wait_for(|cut| *cut) => Err(Broken::Cut),
    };
    let Err(why) = ended else { return };
    if matches!(why, Broken::Cut) {
        open.was_cut();
    }
    for stream in [Some(client), server].into_iter().flatten() {
        // A lingering time of 0 makes the closing of a socket a reset. If it can't be set, the peer sees a plain close.
        let _ = stream.set_zero_linger();
    }
}

async fn carry(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    line: &Line,
    limit: Option<u64>,
) -> Result<(), Broken> {
    let server = server.insert(TcpStream::connect(line.target).await?);
    // What comes in one piece goes on in one piece: Nagle's algorithm would only delay it.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = pump(from_client, to_server, line.mode.subscribe(), None);
    let down = pump(from_server, to_client, line.mode.subscribe(), limit);
    tokio::try_join!(up, down)?;
    Ok(())
}

/// One direction until its end, which is passed on too, or until more than `left` bytes have come.
async fn pump<R, W>(
    mut from: R,
    mut to: W,
    mut mode: watch::Receiver<Mode>,
    mut left: Option<u64>,
) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        hold(&mut mode).await;
        if length == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        let passing = left.map_or(length, |left| {
            length.min(usize::try_from(left).unwrap_or(usize::MAX))
        });
        to.write_all(&chunk[..passing]).await?;
        if passing < length {
            return Err(Broken::Cut);
        }
        left = left.map(|left| left - passing as u64);
    }
}

/// Waits as long as the mode holds back what came just now; a change of the mode holds for what waits already.
async fn hold(mode: &mut watch::Receiver<Mode>) {
    let came = Instant::now();
    loop {
        let Mode {
            stall, delay_ms, ..
        } = *mode.borrow_and_update();
        let released = async {
            if stall {
                pending::<()>().await;
            }
            if delay_ms > 0 {
                sleep_until(came + Duration::from_millis(delay_ms.into())).await;
            }
        };
        tokio::select! {
            () = released => return,
            // The line outlives its connections: no error.
            _ = mode.changed() => {}
        }
    }
}
