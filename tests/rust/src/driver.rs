//! Which command does what.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::command::Command;
use crate::failure::Failure;
use crate::producers::Producers;
use crate::simple_consumers::SimpleConsumers;
use crate::{settings, wire};

/// The clients that are open.
#[derive(Default)]
pub struct Driver {
    producers: Producers,
    simple_consumers: SimpleConsumers,
}

/// Does what the command says, and answers it.
pub async fn answer(driver: Arc<Driver>, command: Command) {
    let id = command.id;
    // A task of its own, for the client panics where it cannot connect.
    let outcome = tokio::spawn(async move { driver.execute(&command).await }).await;
    wire::answer(id, outcome.unwrap_or_else(|ended| Err(ended.into())));
}

impl Driver {
    async fn execute(&self, command: &Command) -> Result<Value, Failure> {
        match command.r#do.as_str() {
            "hello" => settings::versions(),
            "producer" => self.producers.open(command).await,
            "send" => self.producers.send(command).await,
            "close-producer" => self.producers.close(command).await,
            "push-consumer" | "close-push-consumer" => {
                Err(Failure::unsupported("the client has no push consumer"))
            }
            "simple-consumer" => self.simple_consumers.open(command).await,
            "receive" => self.simple_consumers.receive(command).await,
            "ack" => self.simple_consumers.ack(command).await,
            "change-invisible" => Err(Failure::unsupported(
                "the client cannot change how long a message is hidden",
            )),
            "close-simple-consumer" => self.simple_consumers.close(command).await,
            unknown => Err(Failure::invalid(format!("unknown command {}", json!(unknown)))),
        }
    }
}
