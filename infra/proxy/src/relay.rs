//! Relays one connection: copies bytes in both directions, subject to the mode, until both sides
//! have ended or the connection is cut.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::mode::Mode;
use crate::state::SharedState;

const CHUNK: usize = 16 * 1024;

/// The reason broken a connection ended before both sides had ended it.
enum Broken {
    /// One side reset the connection, or the server can't be reached.
    Outside,
    /// The proxy cut the connection.
    Cut,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Outside
    }
}

/// Relays one connection until it ends. `cut` is the first parameter so that it is dropped last,
/// after the sockets are closed and the counts are updated.
pub(crate) async fn relay(
    mut cut: watch::Receiver<bool>,
    state: &SharedState,
    mut client: TcpStream,
) {
    let open = state.count();
    let limit = state.mode.borrow().cut_after_bytes;
    let mut server = None;
    let ended = tokio::select! {
        ended = copy_both_directions(&mut client, &mut server, state, limit) => ended,
        _ = cut.wait_for(|cut| *cut) => Err(Broken::Cut),
    };
    let Err(broken) = ended else { return };
    if matches!(broken, Broken::Cut) {
        open.count_cut();
    }
    for stream in [Some(client), server].into_iter().flatten() {
        // With a linger time of 0, closing a socket sends a reset. If the time can't be set, the
        // peer sees an ordinary close.
        let _ = stream.set_zero_linger();
    }
}

async fn copy_both_directions(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    state: &SharedState,
    limit: Option<u64>,
) -> Result<(), Broken> {
    let server = server.insert(TcpStream::connect(state.target).await?);
    // Each chunk is forwarded as it arrives: Nagle's algorithm would only delay it.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = copy_one_direction(from_client, to_server, state.mode.subscribe(), None);
    let down = copy_one_direction(from_server, to_client, state.mode.subscribe(), limit);
    tokio::try_join!(up, down)?;
    Ok(())
}

/// Copies one direction until its end, which is forwarded too, or until more than `remaining` bytes
/// have arrived.
async fn copy_one_direction<R, W>(
    mut from: R,
    mut to: W,
    mut mode: watch::Receiver<Mode>,
    mut remaining: Option<u64>,
) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        wait_for_release(&mut mode).await;
        if length == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        let passing = remaining.map_or(length, |remaining| {
            length.min(usize::try_from(remaining).unwrap_or(usize::MAX))
        });
        to.write_all(&chunk[..passing]).await?;
        if passing < length {
            return Err(Broken::Cut);
        }
        remaining = remaining.map(|remaining| remaining - passing as u64);
    }
}

/// Waits while the mode holds back a chunk that has just arrived. A change of the mode also applies
/// to chunks that are waiting already.
async fn wait_for_release(mode: &mut watch::Receiver<Mode>) {
    let arrived = Instant::now();
    loop {
        let Mode {
            stall, delay_ms, ..
        } = *mode.borrow_and_update();
        let released = async {
            if stall {
                pending::<()>().await;
            }
            if delay_ms > 0 {
                sleep_until(arrived + Duration::from_millis(delay_ms.into())).await;
            }
        };
        tokio::select! {
            () = released => return,
            // The shared state outlives its connections, so this can't fail.
            _ = mode.changed() => {}
        }
    }
}
