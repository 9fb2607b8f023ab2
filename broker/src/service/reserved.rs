//! Property names that RocketMQ uses itself: clients may not send them, and are not shown them.

const PREFIXES: [&str; 2] = ["TIMER_", "DLQ_ORIGIN_"];

/// In order, for binary search.
const NAMES: [&str; 46] = [
    "ARRIVE_TIME",
    "BORN_TIMESTAMP",
    "BUYER_ID",
    "CHECK_IMMUNITY_TIME_IN_SECONDS",
    "CLUSTER",
    "CONSUME_START_TIME",
    "CORRECTION_FLAG",
    "CORRELATION_ID",
    "DELAY",
    "EXTEND_UNIQ_INFO",
    "FIRST_POP_TIME",
    "INNER_BASE",
    "INNER_MULTI_DISPATCH",
    "INNER_MULTI_QUEUE_OFFSET",
    "INNER_NUM",
    "INSTANCE_ID",
    "KEYS",
    "MAX_OFFSET",
    "MAX_RECONSUME_TIMES",
    "MIN_OFFSET",
    "MQ2_FLAG",
    "MSG_REGION",
    "MSG_TYPE",
    "ORIGIN_MESSAGE_ID",
    "PGROUP",
    "POP_CK",
    "POP_CK_OFFSET",
    "PUSH_REPLY_TIME",
    "REAL_QID",
    "REAL_TOPIC",
    "RECONSUME_TIME",
    "REPLY_TO_CLIENT",
    "RETRY_TOPIC",
    "TAGS",
    "TRACE_CONTEXT",
    "TRACE_ON",
    "TRANSACTION_CHECK_TIMES",
    "TRANSFER_FLAG",
    "TRAN_MSG",
    "TTL",
    "UNIQ_KEY",
    "WAIT",
    "_SYS_MSG_PRIORITY_",
    "__BORNHOST",
    "__LITE_TOPIC",
    "__SHARDINGKEY",
];

/// Whether the name is the system's.
pub fn is_reserved(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::record::property;

    #[test]
    fn the_names_stand_in_order() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn the_names_that_properties_are_stored_under_are_reserved() {
        for name in [
            property::MESSAGE_ID,
            property::KEYS,
            property::TAG,
            property::MESSAGE_GROUP,
            property::TRACE_CONTEXT,
            property::BORN_HOST,
        ] {
            assert!(is_reserved(name), "{name}");
        }
        assert!(is_reserved("TIMER_DELIVER_MS") && is_reserved("DLQ_ORIGIN_MESSAGE_ID"));
        assert!(!is_reserved("colour") && !is_reserved("keys") && !is_reserved("_TRACE_ID"));
    }
}
