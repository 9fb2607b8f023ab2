//! The disk of a broker.

use serde::Serialize;
use sluice_proto::admin;

/// The disk.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Disk {
    /// The data folder.
    pub folder: String,
    /// How large it is, with what the system keeps for the superuser.
    pub total_bytes: u64,
    /// How much the broker may still use of it.
    pub free_bytes: u64,
    /// Whether sends are refused because it is full, or for something else that the system does not give.
    pub refusing_sends: bool,
    /// Why: `disk_full`, `disk_nearly_full`, `not_permitted`, `no_descriptors`; empty while they are not, and where an older broker does
    /// not say.
    pub refusing_reason: String,
    /// What the system said to the broker.
    pub refusing_cause: String,
    /// How full it is, in percent of what the broker may use of it.
    pub used_percent: f64,
    /// The highest mark that holds: `none`, `early`, `forced` or `refuse`; empty where an older broker does not say.
    pub level: String,
    /// The marks, in percent; 0 is off.
    pub early_retention_percent: u32,
    /// As above.
    pub forced_retention_percent: u32,
    /// As above.
    pub refuse_sends_percent: u32,
}

impl Disk {
    /// How full it is, and what holds for that.
    pub(super) fn fullness(&self) -> String {
        let holds = match self.level.as_str() {
            "" => return String::new(),
            "none" if !self.has_marks() => "no mark is set",
            "none" => "below all marks",
            "early" => "what all groups have read is given up before its time",
            "forced" => "the oldest messages are given up, unread ones too",
            _ => "sends are refused",
        };
        format!("{:.1} % of what the broker may use: {holds}", self.used_percent)
    }

    fn has_marks(&self) -> bool {
        let marks = [
            self.early_retention_percent,
            self.forced_retention_percent,
            self.refuse_sends_percent,
        ];
        marks.iter().any(|mark| *mark > 0)
    }

    /// Whether sends are refused, and why.
    pub(super) fn refusal(&self) -> String {
        if !self.refusing_sends {
            return String::new();
        }
        let why = match self.refusing_reason.as_str() {
            "disk_nearly_full" => "it is fuller than sends may make it",
            "not_permitted" => "the broker may not make or write files in its folder",
            "no_descriptors" => "the broker can open no more files",
            _ => "it is full",
        };
        let cause = match self.refusing_cause.as_str() {
            "" => String::new(),
            cause => format!(" ({cause})"),
        };
        format!("; sends are refused, for {why}{cause}")
    }

    pub(super) fn marks(&self) -> String {
        if self.level.is_empty() {
            return String::new();
        }
        let mark = |percent: u32| match percent {
            0 => "off".to_owned(),
            percent => format!("{percent} %"),
        };
        format!(
            "early retention {}, forced retention {}, refused sends {}",
            mark(self.early_retention_percent),
            mark(self.forced_retention_percent),
            mark(self.refuse_sends_percent)
        )
    }
}

impl From<admin::DiskStatus> for Disk {
    fn from(disk: admin::DiskStatus) -> Self {
        Self {
            folder: disk.folder,
            total_bytes: disk.total_bytes,
            free_bytes: disk.free_bytes,
            refusing_sends: disk.refusing_sends,
            refusing_reason: disk.refusing_reason,
            refusing_cause: disk.refusing_cause,
            used_percent: disk.used_percent,
            level: disk.level,
            early_retention_percent: disk.early_retention_percent,
            forced_retention_percent: disk.forced_retention_percent,
            refuse_sends_percent: disk.refuse_sends_percent,
        }
    }
}
