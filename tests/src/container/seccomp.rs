//! The default list of system calls, as container engines ship it, reduced to a container without capabilities.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Comes with every buildah. Docker's and containerd's lists are the same but for a few calls.
const DEFAULT: &str = "/usr/share/containers/seccomp.json";

/// What runc is told to allow. Engines write their list with conditions, which runc does not know.
pub(super) fn profile() -> Result<Value> {
    let text = std::fs::read_to_string(Path::new(DEFAULT))
        .with_context(|| format!("cannot read {DEFAULT}, which the package of buildah brings"))?;
    let list: Value = serde_json::from_str(&text).with_context(|| format!("{DEFAULT} is no JSON"))?;
    reduce(&list).with_context(|| format!("{DEFAULT} is not as it is known"))
}

fn reduce(list: &Value) -> Option<Value> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "SCMP_ARCH_X86_64",
        "aarch64" => "SCMP_ARCH_AARCH64",
        _ => return None,
    };
    let known = list["archMap"].as_array()?.iter();
    let with_parts = known
        .clone()
        .find(|entry| entry["architecture"] == architecture)?;
    let mut architectures = vec![json!(architecture)];
    architectures.extend(
        with_parts["subArchitectures"]
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    let calls = list["syscalls"].as_array()?.iter();
    let calls: Option<Vec<_>> = calls.filter(|entry| applies(entry)).map(plain).collect();
    Some(json!({
        "defaultAction": list["defaultAction"],
        "defaultErrnoRet": list["defaultErrnoRet"],
        "architectures": architectures,
        "syscalls": calls?,
    }))
}

/// Whether an entry counts for a container without any capability on this machine.
fn applies(entry: &Value) -> bool {
    let names = |condition: &str, what: &str| entry[condition][what].as_array().cloned().unwrap_or_default();
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        _ => "arm64",
    };
    let arches = names("includes", "arches");
    names("includes", "caps").is_empty()
        && (arches.is_empty() || arches.iter().any(|arch| arch == own))
        && !names("excludes", "arches").iter().any(|arch| arch == own)
}

/// The entry without its conditions.
fn plain(entry: &Value) -> Option<Value> {
    let mut plain = json!({"names": entry["names"].as_array()?, "action": entry["action"].as_str()?});
    for optional in ["args", "errnoRet"] {
        if !entry[optional].is_null() {
            plain[optional] = entry[optional].clone();
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_capability_or_another_machine_is_left_out() {
        let list = json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
            "archMap": [
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            ],
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {}, "excludes": {}},
                {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["s390_runtime_instr"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["s390x"]}},
            ],
        });
        let reduced = reduce(&list).unwrap();
        assert_eq!(
            reduced["syscalls"],
            json!([
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": []},
                {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW"},
            ])
        );
        assert_eq!(reduced["architectures"].as_array().unwrap().len(), 2);
        assert!(reduce(&json!({})).is_none());
    }
}
