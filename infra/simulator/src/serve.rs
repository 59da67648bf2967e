//! The accept loop. It replaces `axum::serve`, which cannot close a connection without a response.

use std::fmt;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::responses::HangUp;

/// Serves `router` until the future is dropped. Its connections are then closed too.
pub async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone()));
                }
                // Most likely there are no file descriptors left; some will become free.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            // Removes connections that have ended.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    // Responses are small and the client waits for them: Nagle's algorithm would only delay them.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| respond(router.clone(), request));
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let Err(error) = (&mut connection).await else {
        return;
    };
    if std::error::Error::source(&error).and_then(|source| source.downcast_ref())
        == Some(&HungUp(HangUp::Reset))
    {
        // With a linger time of 0, closing the socket sends a reset. If it cannot be set, the
        // client gets a regular close.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

/// Returns the router's response, or an error that makes hyper close the connection.
async fn respond(
    router: TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> Result<Response<Body>, HungUp> {
    let Ok(response) = router.call(request).await;
    match response.extensions().get::<HangUp>() {
        Some(how) => Err(HungUp(*how)),
        None => Ok(response),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct HungUp(HangUp);

impl fmt::Display for HungUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection is closed without a response on purpose")
    }
}

impl std::error::Error for HungUp {}
