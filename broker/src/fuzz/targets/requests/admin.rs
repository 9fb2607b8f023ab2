//! What operators' requests are judged by.

use super::told;
use crate::admin::convert;
use crate::admin::page::{NAMES_MAX, Page, Scope};
use crate::service::validate;
use anyhow::ensure;
use sluice_core::command::Terms;
use sluice_core::limits;
use sluice_core::plan::TagFilter;
use sluice_proto::admin::{GroupSpec, ResetOffsetsRequest, TopicSpec};

pub fn topic(name: &str, spec: Option<&TopicSpec>) -> anyhow::Result<()> {
    told(validate::readable_topic_name(name))?;
    if told(validate::administered_topic_name(name))?.is_none() {
        return Ok(());
    }
    if let Some(spec) = spec
        && let Some(put) = told(convert::topic::put(name, spec, Terms::default()))?
    {
        let queues = put.spec.queues;
        ensure!(
            (1..=limits::QUEUES_MAX).contains(&queues),
            "a topic of {queues} queues"
        );
    }
    Ok(())
}

pub fn group(name: &str, spec: Option<&GroupSpec>) -> anyhow::Result<()> {
    if told(validate::group_name(name))?.is_none() {
        return Ok(());
    }
    if let Some(spec) = spec
        && let Some(read) = told(convert::group_spec::read(name, spec))?
    {
        ensure!(
            (1..=limits::ATTEMPTS_MAX).contains(&read.max_attempts),
            "{} attempts",
            read.max_attempts
        );
        ensure!(
            read.subscriptions.len() <= limits::SUBSCRIPTIONS_MAX,
            "too many subscriptions"
        );
        for subscription in &read.subscriptions {
            TagFilter::parse(&subscription.expression)?;
        }
    }
    Ok(())
}

pub fn page(size: u32, token: &str) -> anyhow::Result<()> {
    let scope = Scope {
        call: "ListTopics",
        filters: &[],
    };
    if let Some(page) = told(Page::of(scope, size, token, NAMES_MAX))? {
        ensure!((1..=NAMES_MAX).contains(&page.size), "a page of {}", page.size);
        ensure!(
            page.after.is_none() || scope.write(page.after.as_deref().unwrap_or_default()) == token,
            "a token that was never given"
        );
    }
    Ok(())
}

pub fn role(role: i32) -> anyhow::Result<()> {
    told(convert::client::role(role)).map(drop)
}

pub fn reset(request: &ResetOffsetsRequest) -> anyhow::Result<()> {
    topic(&request.topic, None)?;
    group(&request.group, None)?;
    told(convert::offsets::target(request.target.as_ref()))?;
    let queues = convert::offsets::queues(request.queues.clone());
    ensure!(
        queues.is_sorted_by(|one, other| one < other),
        "a queue is reset twice"
    );
    Ok(())
}
