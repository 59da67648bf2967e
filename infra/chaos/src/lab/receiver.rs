//! The receiver of a run's webhook, on loopback.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
};

use axum::{Router, extract::State, http::StatusCode};
use tokio::{net::TcpListener, task::JoinHandle};

/// A receiver that gives each post the same answer, until that is changed.
pub struct Receiver {
    url: String,
    answer: Arc<AtomicU16>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver that accepts each event.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/events", listener.local_addr()?);
        let answer = Arc::new(AtomicU16::new(StatusCode::NO_CONTENT.as_u16()));
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&answer));
        let server = tokio::spawn(async move {
            // Accepting does not fail: axum retries.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            answer,
            server,
        })
    }

    /// Returns the URL of the webhook.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers with this status from now on; `None`: the events are accepted.
    pub fn answer_with(&self, status: Option<u16>) {
        let status = status.unwrap_or(StatusCode::NO_CONTENT.as_u16());
        self.answer.store(status, Relaxed);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(answer): State<Arc<AtomicU16>>) -> StatusCode {
    StatusCode::from_u16(answer.load(Relaxed)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
