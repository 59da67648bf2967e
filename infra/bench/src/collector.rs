//! A collector of traces on loopback that reads what the functions export, and keeps nothing.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::{Router, body::Bytes, extract::State, routing::post, serve::ListenerExt};
use tokio::{net::TcpListener, task::JoinHandle};

/// A running collector.
pub struct Collector {
    url: String,
    exports: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl Collector {
    /// Starts a collector on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let exports = Arc::default();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(Arc::clone(&exports));
        let listener = listener.tap_io(|stream| {
            // Without it, answers are only slower.
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(async move {
            // Accepting does not fail: axum retries.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            exports,
            server,
        })
    }

    /// Returns the value of `OTLP_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it. Returns the exports that had spans.
    pub async fn stop(self) -> u64 {
        self.server.abort();
        // It was aborted.
        let _ = self.server.await;
        self.exports.load(Relaxed)
    }
}

async fn receive(State(exports): State<Arc<AtomicU64>>, body: Bytes) {
    exports.fetch_add(u64::from(!body.is_empty()), Relaxed);
}
