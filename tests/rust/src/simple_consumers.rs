//! Simple consumers; a received message is named by a number (`ref`) when it is settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rocketmq::SimpleConsumer;
use rocketmq::conf::SimpleConsumerOption;
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::MessageView;
use serde_json::{Value, json};

use crate::command::Command;
use crate::failure::Failure;
use crate::messages::View;
use crate::named::Named;
use crate::settings;

/// The open consumers, and what they received.
#[derive(Default)]
pub struct SimpleConsumers {
    consumers: Named<Subscriber>,
    received: Mutex<Vec<Arc<MessageView>>>,
}

/// A consumer with its subscriptions: the client wants one with each receive.
struct Subscriber {
    consumer: SimpleConsumer,
    subscriptions: Vec<(String, FilterExpression)>,
    receives: AtomicUsize,
}

impl SimpleConsumers {
    /// Opens a consumer.
    pub async fn open(&self, command: &Command) -> Result<Value, Failure> {
        let mut option = SimpleConsumerOption::default();
        option.set_consumer_group(&command.group);
        option.set_topics(command.subscriptions.keys().cloned().collect());
        let mut consumer = SimpleConsumer::new(option, settings::connection(command)?)?;
        consumer.start().await?;
        let subscriber = Subscriber {
            consumer,
            subscriptions: command
                .subscriptions
                .iter()
                .map(|(topic, tags)| (topic.clone(), FilterExpression::new(FilterType::Tag, tags)))
                .collect(),
            receives: AtomicUsize::new(0),
        };
        self.consumers.put(&command.name, subscriber)?;
        Ok(Value::Null)
    }

    /// Receives from one topic after the other, as the other clients do by themselves.
    pub async fn receive(&self, command: &Command) -> Result<Value, Failure> {
        let subscriber = self.consumers.of(&command.name).await?;
        let turn = subscriber.receives.fetch_add(1, Ordering::Relaxed);
        let mut turns = subscriber.subscriptions.iter().cycle();
        let Some((topic, expression)) = turns.nth(turn % subscriber.subscriptions.len().max(1)) else {
            return Err(Failure::invalid("the consumer has no subscription"));
        };
        let invisible = Duration::from_millis(command.invisible_ms);
        let messages = subscriber
            .consumer
            .receive_with(topic, expression, command.max, invisible)
            .await?;
        let views = messages.into_iter().map(|message| self.keep(message));
        Ok(Value::Array(views.collect()))
    }

    /// Acknowledges a message.
    pub async fn ack(&self, command: &Command) -> Result<Value, Failure> {
        let subscriber = self.consumers.of(&command.name).await?;
        let message = self.received.lock().get(command.r#ref).cloned();
        let message = message
            .ok_or_else(|| Failure::invalid(format!("no message was received as {}", command.r#ref)))?;
        subscriber.consumer.ack(&*message).await?;
        Ok(Value::Null)
    }

    /// Closes a consumer.
    pub async fn close(&self, command: &Command) -> Result<Value, Failure> {
        let subscriber = self.consumers.take(&command.name).await?;
        subscriber.consumer.shutdown().await?;
        Ok(Value::Null)
    }

    /// Remembers a message; returns its view.
    fn keep(&self, message: MessageView) -> Value {
        let mut received = self.received.lock();
        let view = json!(View::of(&message, received.len()));
        received.push(Arc::new(message));
        view
    }
}
