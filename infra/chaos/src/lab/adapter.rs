//! The real carrier adapter with smaller requests. For the test of the lab itself it can also send
//! every request twice.

use std::sync::Arc;

use async_trait::async_trait;
use shared::carrier::{
    Carrier, CarrierSettings, Login, SendError, StatusAnswer, StatusError, Submit, alaris,
};

use super::plan::{CarrierForm, Plan};

/// The carrier adapter of a run.
pub struct LabCarrier {
    inner: Arc<dyn Carrier>,
    request_size: usize,
    submits_twice: bool,
}

impl LabCarrier {
    /// Returns the plan's adapter to the carrier at `origin`.
    pub fn shared(origin: &str, plan: &Plan) -> anyhow::Result<Arc<dyn Carrier>> {
        let (adapter, own_ids, has_account) = match plan.form {
            CarrierForm::Bare => (&alaris::BARE, false, false),
            CarrierForm::Account => (&alaris::FULL, false, true),
            CarrierForm::OwnIds => (&alaris::FULL, true, true),
        };
        let settings = CarrierSettings {
            adapter,
            url: format!("{origin}/api"),
            timeout: plan.timeout,
            own_ids,
            login: has_account.then(|| Login {
                username: "lab".into(),
                password: "lab".to_owned().into(),
            }),
        };
        let inner = settings.connect()?;
        Ok(Arc::new(Self {
            inner,
            request_size: plan.request_size,
            submits_twice: plan.submits_twice,
        }))
    }
}

#[async_trait]
impl Carrier for LabCarrier {
    async fn submit(&self, submit: Submit<'_>) -> Result<Vec<Option<String>>, SendError> {
        if self.submits_twice {
            // The answer to the first request is discarded.
            let _ = self.inner.submit(submit).await;
        }
        self.inner.submit(submit).await
    }

    async fn status(&self, ids: &str) -> Result<StatusAnswer, StatusError> {
        self.inner.status(ids).await
    }

    fn max_numbers(&self) -> usize {
        self.inner.max_numbers().min(self.request_size)
    }

    fn can_ask_own_id(&self) -> bool {
        self.inner.can_ask_own_id()
    }
}
