//! The telemetry stream: settings up, merged settings back.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sluice_proto::v2;
use sluice_proto::v2::settings::PubSub;
use sluice_proto::v2::telemetry_command::Command;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Client, resource};
use crate::wait;

/// Official clients wait as long for the answer to their settings.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// A telemetry stream; it ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    uplink: mpsc::Sender<v2::TelemetryCommand>,
    downlink: Streaming<v2::TelemetryCommand>,
    /// What the broker made of the settings.
    pub settings: v2::Settings,
}

impl Session {
    /// Opens a stream, sends settings and waits for the merged ones.
    ///
    /// # Errors
    /// When the broker refuses them or does not answer.
    pub async fn open(client: &Client, settings: v2::Settings) -> Result<Self> {
        let (uplink, commands) = mpsc::channel(4);
        uplink
            .send(command(settings))
            .await
            .context("cannot queue the settings")?;
        let request = client.endless(ReceiverStream::new(commands));
        let mut stub = client.stub();
        let mut session = wait::within("open a telemetry stream", ANSWER_WITHIN, async {
            let downlink = stub.telemetry(request).await?.into_inner();
            Ok(Self {
                uplink,
                downlink,
                settings: v2::Settings::default(),
            })
        })
        .await?;
        session.settings = session.answer().await?;
        Ok(session)
    }

    /// Sends settings again and waits for the merged ones.
    ///
    /// # Errors
    /// When the broker refuses them or does not answer.
    pub async fn resend(&mut self, settings: v2::Settings) -> Result<&v2::Settings> {
        self.uplink
            .send(command(settings))
            .await
            .context("the stream has ended")?;
        self.settings = self.answer().await?;
        Ok(&self.settings)
    }

    /// Waits for the settings that the broker sends of itself.
    ///
    /// # Errors
    /// When none come in time.
    pub async fn pushed(&mut self) -> Result<&v2::Settings> {
        self.settings = self.answer().await?;
        Ok(&self.settings)
    }

    /// Waits for the next question of the broker.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn question(&mut self) -> Result<Command> {
        wait::within("a question of the broker", ANSWER_WITHIN, async {
            loop {
                match self.next().await? {
                    Command::Settings(_) => {}
                    question => return Ok(question),
                }
            }
        })
        .await
    }

    /// Answers a question.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn reply(&self, code: v2::Code, answer: Command) -> Result<()> {
        let status = v2::Status {
            code: code.into(),
            message: String::new(),
        };
        let command = v2::TelemetryCommand {
            status: Some(status),
            command: Some(answer),
        };
        self.uplink.send(command).await.context("the stream has ended")
    }

    async fn answer(&mut self) -> Result<v2::Settings> {
        wait::within("the answer to settings", ANSWER_WITHIN, async {
            loop {
                if let Command::Settings(settings) = self.next().await? {
                    return Ok(settings);
                }
            }
        })
        .await
    }

    async fn next(&mut self) -> Result<Command> {
        while let Some(command) = self.downlink.message().await? {
            if let Some(command) = command.command {
                return Ok(command);
            }
        }
        bail!("the telemetry stream ended")
    }
}

/// Settings of a producer.
#[must_use]
pub fn producer_settings(client: &Client, topics: &[&str]) -> v2::Settings {
    let publishing = v2::Publishing {
        topics: topics.iter().map(|topic| resource(topic)).collect(),
        ..Default::default()
    };
    settings(client, v2::ClientType::Producer, PubSub::Publishing(publishing))
}

/// Settings of a simple consumer of some topics with tag expressions.
#[must_use]
pub fn simple_consumer_settings(client: &Client, group: &str, topics: &[(&str, &str)]) -> v2::Settings {
    settings(
        client,
        v2::ClientType::SimpleConsumer,
        subscription(group, topics),
    )
}

/// Settings of a push consumer of some topics with tag expressions.
#[must_use]
pub fn push_consumer_settings(client: &Client, group: &str, topics: &[(&str, &str)]) -> v2::Settings {
    settings(client, v2::ClientType::PushConsumer, subscription(group, topics))
}

fn subscription(group: &str, topics: &[(&str, &str)]) -> PubSub {
    let entries = topics.iter().map(|(topic, tags)| v2::SubscriptionEntry {
        topic: Some(resource(topic)),
        expression: Some(super::calls::tag_expression(tags)),
    });
    PubSub::Subscription(v2::Subscription {
        group: Some(resource(group)),
        subscriptions: entries.collect(),
        ..Default::default()
    })
}

fn settings(client: &Client, client_type: v2::ClientType, pub_sub: PubSub) -> v2::Settings {
    v2::Settings {
        client_type: Some(client_type.into()),
        access_point: Some(client.access_point()),
        request_timeout: Some(super::duration(Duration::from_secs(3))),
        user_agent: Some(v2::Ua {
            language: v2::Language::Rust.into(),
            version: "5.0.0".to_owned(),
            platform: "tests".to_owned(),
            hostname: "tests".to_owned(),
        }),
        pub_sub: Some(pub_sub),
        ..Default::default()
    }
}

fn command(settings: v2::Settings) -> v2::TelemetryCommand {
    v2::TelemetryCommand {
        status: None,
        command: Some(Command::Settings(settings)),
    }
}
