//! The reasons of refusals, each with its gRPC code. docs/admin-api.md has a row for each.

use tonic::Code;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:ident;)*) => {
        /// Why a call is refused, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// As it stands in the metadata.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The code that goes with it.
            pub fn code(self) -> Code {
                match self {
                    $(Self::$name => Code::$code,)*
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

reasons! {
    TokenMissing = "TOKEN_MISSING", Unauthenticated;
    TokenWrong = "TOKEN_WRONG", Unauthenticated;
    CertificateMissing = "CERTIFICATE_MISSING", Unauthenticated;
    TlsRequired = "TLS_REQUIRED", Unauthenticated;
    TopicNotFound = "TOPIC_NOT_FOUND", NotFound;
    GroupNotFound = "GROUP_NOT_FOUND", NotFound;
    QueueNotFound = "QUEUE_NOT_FOUND", NotFound;
    ClientNotFound = "CLIENT_NOT_FOUND", NotFound;
    MessageNotFound = "MESSAGE_NOT_FOUND", NotFound;
    KeyNotFound = "CONFIG_KEY_NOT_FOUND", NotFound;
    TopicExists = "TOPIC_EXISTS", AlreadyExists;
    GroupExists = "GROUP_EXISTS", AlreadyExists;
    TopicNameInvalid = "TOPIC_NAME_INVALID", InvalidArgument;
    GroupNameInvalid = "GROUP_NAME_INVALID", InvalidArgument;
    SpecInvalid = "SPEC_INVALID", InvalidArgument;
    ValueInvalid = "CONFIG_VALUE_INVALID", InvalidArgument;
    PageTokenInvalid = "PAGE_TOKEN_INVALID", InvalidArgument;
    TooLarge = "TOO_LARGE", InvalidArgument;
    RequestInvalid = "REQUEST_INVALID", InvalidArgument;
    GenerationStale = "GENERATION_STALE", Aborted;
    EpochStale = "EPOCH_STALE", FailedPrecondition;
    QueuesShrink = "QUEUES_SHRINK", FailedPrecondition;
    TopicNotEmpty = "TOPIC_NOT_EMPTY", FailedPrecondition;
    GroupNotEmpty = "GROUP_NOT_EMPTY", FailedPrecondition;
    GroupInUse = "GROUP_IN_USE", FailedPrecondition;
    NotSubscribed = "NOT_SUBSCRIBED", FailedPrecondition;
    KeyFixed = "CONFIG_KEY_FIXED", FailedPrecondition;
    ClientNotConnected = "CLIENT_NOT_CONNECTED", FailedPrecondition;
    NotLeader = "NOT_LEADER", FailedPrecondition;
    ClientSilent = "CLIENT_SILENT", Unimplemented;
    ClientRefuses = "CLIENT_REFUSES", Unimplemented;
    LimitReached = "LIMIT_REACHED", ResourceExhausted;
    Busy = "BUSY", ResourceExhausted;
    DiskFull = "DISK_FULL", ResourceExhausted;
    FolderClosed = "FOLDER_CLOSED", ResourceExhausted;
    Stopping = "STOPPING", Unavailable;
    OutcomeUnknown = "OUTCOME_UNKNOWN", Unknown;
    MessageUnreadable = "MESSAGE_UNREADABLE", DataLoss;
    StoreUnreadable = "STORE_UNREADABLE", Internal;
    Internal = "INTERNAL", Internal;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// As the documentation writes it.
    fn name(code: Code) -> String {
        format!("{code:?}")
            .chars()
            .enumerate()
            .fold(String::new(), |mut name, (at, character)| {
                if at > 0 && character.is_uppercase() {
                    name.push('_');
                }
                name.push(character.to_ascii_uppercase());
                name
            })
    }

    #[test]
    fn every_reason_is_on_its_page_with_its_code_and_none_is_there_that_does_not_exist() {
        let page = include_str!("../../../docs/admin-api.md");
        let documented = page.lines().filter_map(|line| {
            let (reason, rest) = line.strip_prefix("| `")?.split_once("` | `")?;
            Some((reason.to_owned(), rest.split_once('`')?.0.to_owned()))
        });
        let reasons = Reason::ALL.iter();
        let reasons = reasons.map(|reason| (reason.text().to_owned(), name(reason.code())));
        assert_eq!(reasons.collect::<BTreeSet<_>>(), documented.collect());
    }
}
