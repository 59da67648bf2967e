//! The real adapter, with smaller requests; and one that sends everything twice, to show that this is found out.

use std::sync::Arc;

use async_trait::async_trait;
use shared::carrier::{
    Answer, Carrier, CarrierSettings, Login, SendError, StatusError, Submit, alaris,
};

use super::plan::{Plan, Spoken};

/// See the module.
pub struct LabCarrier {
    inner: Arc<dyn Carrier>,
    request_size: usize,
    twice: bool,
}

impl LabCarrier {
    /// An adapter to the carrier at `origin`, as the plan says.
    pub fn shared(origin: &str, plan: &Plan) -> anyhow::Result<Arc<dyn Carrier>> {
        let bare = plan.form == Spoken::Bare;
        let settings = CarrierSettings {
            adapter: if bare { &alaris::BARE } else { &alaris::FULL },
            url: format!("{origin}/api"),
            timeout: plan.timeout,
            own_ids: plan.form == Spoken::OwnIds,
            login: (!bare).then(|| Login {
                username: "lab".into(),
                password: "lab".to_owned().into(),
            }),
        };
        let inner = settings.connect()?;
        Ok(Arc::new(Self {
            inner,
            request_size: plan.request_size,
            twice: plan.submits_twice,
        }))
    }
}

#[async_trait]
impl Carrier for LabCarrier {
    async fn submit(&self, submit: Submit<'_>) -> Result<Vec<Option<String>>, SendError> {
        if self.twice {
            // The answer to the first one is thrown away.
            let _ = self.inner.submit(submit).await;
        }
        self.inner.submit(submit).await
    }

    async fn status(&self, ids: &str) -> Result<Answer, StatusError> {
        self.inner.status(ids).await
    }

    fn max_numbers(&self) -> usize {
        self.inner.max_numbers().min(self.request_size)
    }

    fn can_ask_own_id(&self) -> bool {
        self.inner.can_ask_own_id()
    }
}
