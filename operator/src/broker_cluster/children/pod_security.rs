//! What the brokers' pods may do: what the Restricted level of Pod Security asks for.

use k8s_openapi::api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext};
use serde_json::Value;
use sluice_operator_api::broker_cluster::PodTemplate;

/// The image's user and group.
const USER: i64 = 65_532;

/// The pod's, with the fields that the resource gives in place of ours.
pub(super) fn of_pod(template: &PodTemplate) -> PodSecurityContext {
    let ours = PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        // Volumes with very many files would take long at each start otherwise.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    };
    match &template.security_context {
        None => ours,
        Some(theirs) => merged(&ours, theirs).unwrap_or(ours),
    }
}

/// The container's.
pub(super) fn of_container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

/// Field by field; a field as a whole.
fn merged(ours: &PodSecurityContext, theirs: &PodSecurityContext) -> Option<PodSecurityContext> {
    let mut ours = serde_json::to_value(ours).ok()?;
    if let (Value::Object(fields), Value::Object(theirs)) = (&mut ours, serde_json::to_value(theirs).ok()?) {
        fields.extend(theirs);
    }
    serde_json::from_value(ours).ok()
}
