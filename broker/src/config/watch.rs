//! The file while the broker runs: it is read again every few seconds. What it says at two looks one after another holds for live
//! keys, so that nothing follows a file that is just being written; what it says of others holds after a restart. A file that cannot be
//! used changes nothing, and neither does one that has become empty: that is how it looks whose writing failed.

use super::error::ConfigError;
use super::file;
use super::layers::Values;
use super::live::Live;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Follows the file to the end of the process; at once done where there is none.
pub async fn follow_file(live: Arc<Live>) {
    let Some(mut watch) = Watch::of(live) else { return };
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        match tokio::task::spawn_blocking(move || watch.look()).await {
            Ok(same) => watch = same,
            Err(error) => {
                tracing::error!(%error, "the configuration file is no longer read again");
                return;
            }
        }
    }
}

/// Why an empty file is not followed.
const EMPTY: &str =
    "it is empty, or has remarks alone; to give every live key its default again, write {} to it";

struct Watch {
    live: Arc<Live>,
    path: PathBuf,
    /// What the file said when it could be used last.
    said: Values,
    /// What it was the last time.
    last: Option<Seen>,
    /// What it was when it was taken or refused last.
    taken: Option<Seen>,
}

/// What the file says, or why it could not be read. The whole of it, for a change within one tick of the file system's clock counts
/// too.
type Seen = Result<String, String>;

impl Watch {
    fn of(live: Arc<Live>) -> Option<Self> {
        let (path, said) = live.file()?;
        Some(Self {
            live,
            path,
            said,
            last: None,
            taken: None,
        })
    }

    fn look(mut self) -> Self {
        let seen = file::text(&self.path).map_err(shown);
        let settled = self.last.as_ref() == Some(&seen);
        self.last = Some(seen);
        if settled && self.taken != self.last {
            self.take();
            self.taken.clone_from(&self.last);
        }
        self
    }

    fn take(&mut self) {
        let taken = match self.last.as_ref() {
            Some(Ok(text)) if file::says_nothing(text) && !self.said.is_empty() => Err(EMPTY.to_owned()),
            Some(Ok(text)) => file::parse(&self.path, text).map_err(shown),
            Some(Err(error)) => Err(error.clone()),
            None => return,
        };
        let taken = taken.and_then(|values| {
            self.live.take_file(&self.said, &values).map_err(shown)?;
            self.said = values;
            Ok(())
        });
        self.live.file_rejected(taken.is_err());
        if let Err(error) = taken {
            tracing::warn!(
                file = %self.path.display(),
                error,
                "the changed configuration file cannot be used; what it said before holds on"
            );
        }
    }
}

fn shown(error: ConfigError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};

    struct Followed {
        _folder: tempfile::TempDir,
        path: PathBuf,
        watch: Option<Watch>,
        live: Arc<Live>,
    }

    impl Followed {
        fn new(text: &str, flags: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("sluice.yaml");
            std::fs::write(&path, text).unwrap();
            let named = path.display().to_string();
            let config = Config::of_flags(&[&["--config", &named], flags].concat()).unwrap();
            Self {
                _folder: folder,
                path,
                watch: Watch::of(Arc::clone(&config.live)),
                live: config.live,
            }
        }

        fn say(&mut self, text: &str) {
            std::fs::write(&self.path, text).unwrap();
            self.look();
            self.look();
        }

        fn look(&mut self) {
            self.watch = self.watch.take().map(Watch::look);
        }

        fn value(&self, key: &str) -> (Option<String>, Source) {
            let entry = self.live.get(key).unwrap();
            (entry.value, entry.source)
        }
    }

    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn live_keys_follow_the_file_and_others_wait_for_a_restart() {
        let mut followed = Followed::new("autoCreateTopics: true\nbrokerName: a\n", &[]);
        let changes = followed.live.subscribe();
        followed.look();
        followed.look();
        assert!(!changes.has_changed().unwrap(), "nothing is different");
        followed.say("autoCreateTopics: false\nbrokerName: b\nqueueMetrics: true\n");
        assert_eq!(followed.value("autoCreateTopics"), (text("false"), Source::File));
        assert_eq!(followed.value("queueMetrics"), (text("true"), Source::File));
        assert_eq!(followed.value("brokerName"), (text("a"), Source::File));
        assert!(changes.has_changed().unwrap() && !followed.live.values().auto_create_topics);
        followed.say("{}");
        assert_eq!(
            followed.value("autoCreateTopics"),
            (text("true"), Source::Default)
        );
        assert_eq!(followed.value("queueMetrics"), (text("false"), Source::Default));
        assert_eq!(followed.value("brokerName"), (text("a"), Source::File));
    }

    #[test]
    fn a_file_that_cannot_be_used_changes_nothing_until_it_can() {
        let mut followed = Followed::new("log: warn\n", &[]);
        for broken in ["log: [", "log: loud\n", "queueMetrics: true\nlogs: info\n"] {
            followed.say(broken);
            assert_eq!(followed.value("log"), (text("warn"), Source::File), "{broken}");
            assert_eq!(followed.value("queueMetrics").1, Source::Default);
            assert!(followed.live.file_is_rejected(), "{broken}");
        }
        followed.say("log: warn\n");
        assert!(!followed.live.file_is_rejected(), "it says what holds");
        std::fs::remove_file(&followed.path).unwrap();
        followed.look();
        followed.look();
        assert_eq!(followed.value("log"), (text("warn"), Source::File));
        assert!(followed.live.file_is_rejected());
        followed.say("log: error\n");
        assert_eq!(followed.value("log"), (text("error"), Source::File));
        assert!(!followed.live.file_is_rejected());
    }

    #[test]
    fn values_that_are_right_alone_and_not_together_change_nothing() {
        let mut followed = Followed::new("earlyRetentionPercent: 70\nrefuseSendsPercent: 95\n", &[]);
        followed.say("log: error\nearlyRetentionPercent: 96\nrefuseSendsPercent: 95\n");
        assert!(followed.live.file_is_rejected());
        assert_eq!(followed.value("log").1, Source::Default);
        assert_eq!(
            followed.value("earlyRetentionPercent"),
            (text("70"), Source::File)
        );
        followed.say("earlyRetentionPercent: 71\nrefuseSendsPercent: 95\n");
        assert!(!followed.live.file_is_rejected());
        assert_eq!(
            followed.value("earlyRetentionPercent"),
            (text("71"), Source::File)
        );
    }

    #[test]
    fn a_file_that_is_just_being_written_is_not_followed() {
        let mut followed = Followed::new("log: warn\nqueueMetrics: true\n", &[]);
        followed.look();
        followed.look();
        for part in ["log: error\n", "log: error\nqueue"] {
            std::fs::write(&followed.path, part).unwrap();
            followed.look();
            assert_eq!(followed.value("log"), (text("warn"), Source::File));
            assert_eq!(followed.value("queueMetrics"), (text("true"), Source::File));
        }
        followed.say("log: error\nqueueMetrics: true\n");
        assert_eq!(followed.value("log"), (text("error"), Source::File));
        assert_eq!(followed.value("queueMetrics"), (text("true"), Source::File));
    }

    #[test]
    fn a_file_that_has_become_empty_changes_nothing_unless_it_said_nothing() {
        for empty in ["", " \n\n", "# mine\n", "---\n", "~"] {
            let mut followed = Followed::new("log: warn\n", &[]);
            followed.say(empty);
            assert_eq!(followed.value("log"), (text("warn"), Source::File));
            followed.say("# nothing\n{}\n");
            assert_eq!(followed.value("log").1, Source::Default);
            followed.say(empty);
            assert_eq!(followed.value("log").1, Source::Default);
            followed.say("log: error\n");
            assert_eq!(followed.value("log"), (text("error"), Source::File));
        }
    }

    #[test]
    fn what_a_flag_or_a_change_says_stays_above_the_file() {
        let mut followed = Followed::new("", &["--log", "warn"]);
        let change = ("queueMetrics".to_owned(), text("true"));
        followed.live.set(&[change]).unwrap();
        followed.say("log: debug\nqueueMetrics: false\n");
        assert_eq!(followed.value("log"), (text("warn"), Source::Flag));
        assert_eq!(followed.value("queueMetrics"), (text("true"), Source::Live));
        followed.live.set(&[("queueMetrics".to_owned(), None)]).unwrap();
        assert_eq!(followed.value("queueMetrics"), (text("false"), Source::File));
    }

    #[test]
    fn without_a_file_there_is_nothing_to_follow() {
        assert!(Watch::of(Arc::default()).is_none());
    }
}
