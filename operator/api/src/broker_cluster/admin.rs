//! Who may administer the brokers.

use crate::SecretKeyRef;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// 30 days.
const ROTATION_PERIOD_SECONDS: i32 = 2_592_000;

/// Who may administer the brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tokenSecretRef) || !has(self.tokenRotationPeriodSeconds)")
    .message("a token from tokenSecretRef is not rotated by the operator: take tokenRotationPeriodSeconds out"))]
pub struct Admin {
    /// The admin API's token, or two of them, a line each, from a Secret. Unless given the operator makes one, in the Secret that
    /// status.adminTokenSecretRef names. The brokers take a changed one without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyRef>,
    /// How long the operator keeps a token that it has made, in seconds, 3600 to 315360000; 2592000, which is 30 days, unless
    /// given. The old one is taken for some minutes along with the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3600, max = 315_360_000))]
    pub token_rotation_period_seconds: Option<i32>,
}

impl Admin {
    /// How long the operator keeps a token that it has made, in seconds.
    pub fn token_rotation_period_seconds(&self) -> i32 {
        self.token_rotation_period_seconds
            .unwrap_or(ROTATION_PERIOD_SECONDS)
    }
}
