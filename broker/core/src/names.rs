//! Which names topics and groups can have, as RocketMQ has them.

/// Whether a name of `what` has known characters only, `max` of them at most; else the reason.
pub fn check(what: &str, name: &str, max: usize) -> Result<(), String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'_' | b'-');
    if name.is_empty() {
        Err(format!("the name of the {what} is missing"))
    } else if name.len() > max {
        Err(format!(
            "the name of the {what} has {} characters: at most {max} are taken",
            name.len()
        ))
    } else if !name.bytes().all(known) {
        Err(format!(
            "the name of the {what} '{name}' has other characters than letters, digits, '%', '|', '_', '-'"
        ))
    } else {
        Ok(())
    }
}
