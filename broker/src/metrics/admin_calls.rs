//! Calls of the admin API: how many, with which code. Which calls there are, the descriptors say.

use super::page::{Family, Page};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tonic::Code;

const PACKAGE: &str = "sluice.admin.v1";
/// What no service has: callers make paths up, and each would be a series.
const OTHER: &str = "other";

static CALLS: Family = Family::counter(
    "sluice_admin_calls_total",
    &["call", "code"],
    "Calls of the admin API that are answered",
);

/// gRPC's codes, by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Counts answered calls by call and code.
#[derive(Debug)]
pub struct AdminCalls(Vec<Counts>);

/// One call; what is none is the last.
#[derive(Debug)]
struct Counts {
    path: String,
    by_code: [AtomicU64; CODES.len()],
}

impl Counts {
    fn of(path: String) -> Self {
        Self {
            path,
            by_code: [const { AtomicU64::new(0) }; CODES.len()],
        }
    }

    /// No two services have a call of the same name.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(OTHER)
    }
}

impl AdminCalls {
    /// None yet, of the calls that the descriptors have.
    pub(super) fn new() -> Result<Self, prost::DecodeError> {
        let descriptors = FileDescriptorSet::decode(sluice_proto::DESCRIPTORS)?;
        let files = descriptors.file.iter().filter(|file| file.package() == PACKAGE);
        let services = files.flat_map(|file| &file.service);
        let paths = services.flat_map(|service| {
            let methods = service.method.iter();
            methods.map(|method| format!("/{PACKAGE}.{}/{}", service.name(), method.name()))
        });
        let all = paths.chain([OTHER.to_owned()]);
        Ok(Self(all.map(Counts::of).collect()))
    }

    /// A call with this path begins. It is counted when the answer to this is dropped: without a code it was cancelled.
    pub fn begin(self: &Arc<Self>, path: &str) -> AdminCall {
        let known = self.0.iter().position(|counts| counts.path == path);
        AdminCall {
            calls: Arc::clone(self),
            call: known.unwrap_or(self.0.len() - 1),
            code: Code::Cancelled,
        }
    }

    /// Every call with the code that it should have, and the others as they come.
    pub(super) fn write(&self, page: &mut Page<'_>) {
        let series = self.0.iter().flat_map(|counts| {
            let codes = CODES.into_iter().zip(&counts.by_code);
            codes.map(|(code, count)| ([counts.name(), code], count.load(Ordering::Relaxed)))
        });
        page.few(
            &CALLS,
            series.filter(|([call, code], count)| *count > 0 || (*code == CODES[0] && *call != OTHER)),
        );
    }
}

/// A call under way.
#[derive(Debug)]
pub struct AdminCall {
    calls: Arc<AdminCalls>,
    call: usize,
    code: Code,
}

impl AdminCall {
    /// The call is answered with this code.
    pub fn answered(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for AdminCall {
    fn drop(&mut self) {
        self.calls.0[self.call].by_code[self.code as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Common;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn calls_are_counted_by_code_and_what_is_none_together() {
        let calls = Arc::new(AdminCalls::new().unwrap());
        let get_lag = "/sluice.admin.v1.GroupService/GetLag";
        for (path, code) in [
            (get_lag, Some(Code::Ok)),
            (get_lag, Some(Code::Ok)),
            (get_lag, Some(Code::NotFound)),
            (get_lag, None),
            ("/sluice.admin.v1.GroupService/GetLags", Some(Code::Unimplemented)),
            ("/x", Some(Code::Unauthenticated)),
            ("other", Some(Code::Unauthenticated)),
        ] {
            let mut call = calls.begin(path);
            if let Some(code) = code {
                call.answered(code);
            }
        }
        let common = Common::new(&[]);
        let mut page = Page::new(&common, 0);
        calls.write(&mut page);
        let text = page.finish();
        for line in [
            "{call=\"GetLag\",code=\"OK\"} 2",
            "{call=\"GetLag\",code=\"NOT_FOUND\"} 1",
            "{call=\"GetLag\",code=\"CANCELLED\"} 1",
            "{call=\"other\",code=\"UNIMPLEMENTED\"} 1",
            "{call=\"other\",code=\"UNAUTHENTICATED\"} 2",
            "{call=\"CreateTopic\",code=\"OK\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let counted = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(counted, calls.0.len() - 1 + 4, "{text}");
    }

    #[test]
    fn each_call_has_a_name_of_its_own_and_each_code_its_number() {
        let calls = AdminCalls::new().unwrap();
        let names: BTreeSet<&str> = calls.0.iter().map(Counts::name).collect();
        assert_eq!(names.len(), calls.0.len());
        assert!(names.len() > 20, "{names:?}");
        for (number, name) in CODES.iter().enumerate() {
            let code = format!("{:?}", Code::from(number as i32)).to_uppercase();
            assert_eq!(code, name.replace('_', ""));
        }
    }
}
