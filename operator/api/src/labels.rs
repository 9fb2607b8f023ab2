//! Names that the operator puts on objects or reads from them: annotations, labels, the finalizer, field managers.

/// `sluice.dev/paused: "true"`: the operator changes nothing that belongs to this resource and says so in a condition. On a
/// consumer group its autoscaling is paused too.
pub const PAUSED: &str = "sluice.dev/paused";
/// `sluice.dev/paused-scale-in: "true"` on a consumer group: its replicas may rise and not fall.
pub const PAUSED_SCALE_IN: &str = "sluice.dev/paused-scale-in";
/// `sluice.dev/paused-scale-out: "true"` on a consumer group: its replicas may fall and not rise.
pub const PAUSED_SCALE_OUT: &str = "sluice.dev/paused-scale-out";
/// `sluice.dev/force-sync: ANYTHING`: each new value has the resource compared with its broker at once. On a consumer group its
/// replicas are looked at too, and written again if they were left to somebody who puts them back.
pub const FORCE_SYNC: &str = "sluice.dev/force-sync";
/// What values of [`FORCE_SYNC`] begin with that an alert has set, and nobody's hand: they start an evaluation and no more.
pub const FORCE_SYNC_BY_ALERT: &str = "alert-";

/// The hash of what the operator has made an object from: it is written again only when that changes.
pub const APPLIED_HASH: &str = "sluice.dev/applied-hash";
/// The hash of what brokers read only at their start: a pod template with another one rolls.
pub const RESTART_HASH: &str = "sluice.dev/restart-hash";
/// When the operator has made the token in a Secret, in RFC 3339.
pub const TOKEN_MADE_AT: &str = "sluice.dev/token-made-at";
/// How far the exchange of the token in a Secret has come; absent while none is under way.
pub const TOKEN_STEP: &str = "sluice.dev/token-step";
/// Since when, in RFC 3339.
pub const TOKEN_STEP_AT: &str = "sluice.dev/token-step-at";

/// Which cluster an object belongs to.
pub const CLUSTER: &str = "sluice.dev/cluster";

/// `app.kubernetes.io/name`
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// `app.kubernetes.io/instance`: the cluster's name.
pub const APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// `app.kubernetes.io/component`
pub const APP_COMPONENT: &str = "app.kubernetes.io/component";
/// `app.kubernetes.io/version`: the cluster's version.
pub const APP_VERSION: &str = "app.kubernetes.io/version";
/// `app.kubernetes.io/managed-by`
pub const APP_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`APP_NAME`].
pub const APP_NAME_VALUE: &str = "sluice";
/// The value of [`APP_COMPONENT`] on what brokers run in.
pub const APP_COMPONENT_BROKER: &str = "broker";
/// The value of [`APP_MANAGED_BY`].
pub const APP_MANAGED_BY_VALUE: &str = "sluice-operator";

/// Keeps a topic or a consumer group until what its deletion policy asks for is done.
pub const FINALIZER: &str = "sluice.dev/broker-object";

/// Who writes what the operator makes and the statuses of its resources.
pub const FIELD_MANAGER: &str = "sluice-operator";
/// Who writes the scale of workloads.
pub const SCALE_FIELD_MANAGER: &str = "sluice-autoscaler";

/// Tells of pods that may go first; Kubernetes reads it when a ReplicaSet shrinks.
pub const POD_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
