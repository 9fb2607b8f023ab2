//! Producers, and sending with them.

use futures::future;
use rocketmq::Producer;
use rocketmq::conf::ProducerOption;
use serde_json::{Value, json};

use crate::command::Command;
use crate::failure::Failure;
use crate::named::Named;
use crate::{messages, settings};

/// The open producers.
#[derive(Default)]
pub struct Producers(Named<Producer>);

impl Producers {
    /// Opens a producer. How often it may try is no option of the client, which tries once.
    pub async fn open(&self, command: &Command) -> Result<Value, Failure> {
        let mut option = ProducerOption::default();
        if let Some(topics) = &command.topics {
            option.set_topics(topics.clone());
        }
        let mut producer = Producer::new(option, settings::connection(command)?)?;
        producer.start().await?;
        self.0.put(&command.name, producer)?;
        Ok(Value::Null)
    }

    /// Sends the messages one after the other, or all at once if the command says `async`.
    pub async fn send(&self, command: &Command) -> Result<Value, Failure> {
        let producer = self.0.of(&command.name).await?;
        let sends = command.messages.iter().map(async |message| {
            let receipt = producer.send(messages::build(message)?).await?;
            Ok::<_, Failure>(receipt.message_id().to_owned())
        });
        if command.r#async {
            return Ok(json!(future::try_join_all(sends).await?));
        }
        let mut ids = Vec::with_capacity(sends.len());
        for send in sends {
            ids.push(send.await?);
        }
        Ok(json!(ids))
    }

    /// Closes a producer.
    pub async fn close(&self, command: &Command) -> Result<Value, Failure> {
        self.0.take(&command.name).await?.shutdown().await?;
        Ok(Value::Null)
    }
}
