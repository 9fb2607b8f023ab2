//! Three days of a small shop: what a data folder has to keep, each kind at least once.

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_proto::v2;
use sluice_tests::client::{Client, Receive, attempt, fifo_message, message};
use sluice_tests::fixture::Fixture;
use sluice_tests::process::{Broker, Setup};

use crate::ledger::Ledger;

const INIT: &str = "
topics:
  - {name: orders, queues: 3, types: normal}
  - {name: payments, queues: 2, types: fifo}
groups:
  - {name: billing, fifo: true, maxAttempts: 5}
  - {name: mailer, maxAttempts: 2, backoff: [1s]}
  - {name: night-shift, startFrom: latest}
  - {name: archive, backoff: {initial: 5s, max: 2h, multiplier: 2}}
";
const DEAD: &str = "%DLQ%mailer";

/// A broker that was killed, and what is to be found in its folder.
pub async fn tell() -> Result<(Broker, Fixture)> {
    let mut broker = Setup::new()
        .init(INIT)
        .flag("--segment-size", "256KiB")
        .flag("--checkpoint-bytes", "64KiB")
        .start()?;
    let mut ledger = Ledger::default();
    first_day(&Client::new(&broker.endpoint())?, &mut ledger).await?;
    broker.kill()?;
    broker.restart()?;
    second_day(&Client::new(&broker.endpoint())?, &mut ledger).await?;
    ensure!(broker.stop()?.success(), "the broker did not stop well");
    broker.restart()?;
    third_day(&Client::new(&broker.endpoint())?, &mut ledger).await?;
    broker.kill()?;
    for (folder, least) in [("log", 3), ("checkpoint", 3)] {
        let files = std::fs::read_dir(broker.shard_dir().join(folder))?.count();
        ensure!(files >= least, "{files} files in {folder}, fewer than {least}");
    }
    Ok((broker, ledger.into_fixture()))
}

/// Two topics, several segments; one group is through, one is selective, one amid its work.
async fn first_day(client: &Client, ledger: &mut Ledger) -> Result<()> {
    for number in 0..300 {
        ledger.send(client, "orders", order(number)).await?;
    }
    for number in 0..40 {
        ledger.send(client, "payments", payment(number)).await?;
    }
    ledger.drain(client, &Receive::new("readers", "orders")).await?;
    let red = Receive {
        tags: "red".to_owned(),
        ..Receive::new("painters", "orders")
    };
    ledger.drain(client, &red).await?;
    let messages = ledger.receive(client, &in_flight("billing", "payments")).await?;
    let (begun, _) = messages.split_at(messages.len() / 2);
    ledger.done(client, "billing", "payments", begun).await
}

/// A topic made by its first message; retries, messages given up, and handles that are never answered.
async fn second_day(client: &Client, ledger: &mut Ledger) -> Result<()> {
    for number in 300..400 {
        ledger.send(client, "orders", order(number)).await?;
    }
    for number in 0..60 {
        ledger.send(client, "clicks", click(number)).await?;
    }
    let messages = ledger.receive(client, &in_flight("readers", "orders")).await?;
    let (done, _) = messages.split_at(messages.len() / 2);
    ledger.done(client, "readers", "orders", done).await?;

    retry(client, ledger, "archive", 8).await?;
    let again = retry(client, ledger, "mailer", 4).await?;
    ledger.dying("mailer", "clicks", &again);
    let messages = ledger.receive(client, &in_flight("mailer", "clicks")).await?;
    let (hopeless, good) = messages.split_at(3);
    ledger.give_up(client, "mailer", "clicks", hopeless).await?;
    let (good, _) = good.split_at(good.len() / 2);
    ledger.done(client, "mailer", "clicks", good).await
}

/// What no checkpoint covers: a group that begins at the end, and a little of everything.
async fn third_day(client: &Client, ledger: &mut Ledger) -> Result<()> {
    let late = in_flight("night-shift", "orders");
    ledger.begin_behind(client, &late).await?;
    for number in 400..420 {
        ledger.send(client, "orders", order(number)).await?;
    }
    for number in 40..52 {
        ledger.send(client, "payments", payment(number)).await?;
    }
    for topic in ["orders", "payments", "clicks", DEAD] {
        ledger.audit(client, topic).await?;
    }
    ledger.receive(client, &in_flight("undertaker", DEAD)).await?;
    let messages = ledger.receive(client, &late).await?;
    let (done, _) = messages.split_at(messages.len() / 2);
    ledger.done(client, "night-shift", "orders", done).await
}

/// Takes some messages of a topic, hands them back at once, and takes them again.
async fn retry(client: &Client, ledger: &mut Ledger, group: &str, count: i32) -> Result<Vec<v2::Message>> {
    let mut receive = in_flight(group, "clicks");
    receive.batch = count;
    let messages = ledger.receive(client, &receive).await?;
    for message in &messages {
        client
            .change_invisible(group, "clicks", message, Duration::ZERO)
            .await?;
    }
    let mut again = Vec::new();
    while again.len() < messages.len() {
        let more = ledger.receive(client, &receive).await?;
        again.extend(more.into_iter().filter(|message| attempt(message) == 2));
    }
    Ok(again)
}

/// The shortest there is: whoever opens the folder soon waits that long for what was in flight.
fn in_flight(group: &str, topic: &str) -> Receive {
    Receive {
        invisible: Duration::from_secs(10),
        ..Receive::new(group, topic)
    }
}

fn order(number: usize) -> v2::Message {
    let mut order = message("orders", format!("order {number}; ").repeat(100));
    if let Some(properties) = &mut order.system_properties {
        properties.tag = Some(["red", "green", "blue"][number % 3].to_owned());
        properties.keys = vec![format!("order-{number}"), format!("customer-{}", number % 7)];
    }
    order.user_properties.insert(
        "region".to_owned(),
        ["north", "grüße=south; 世界"][number % 2].to_owned(),
    );
    order
}

fn payment(number: usize) -> v2::Message {
    let account = format!("account-{}", number % 4);
    let mut payment = fifo_message("payments", &account, format!("payment {number}"));
    if let Some(properties) = &mut payment.system_properties {
        properties.keys = vec![format!("payment-{number}")];
    }
    payment
}

fn click(number: usize) -> v2::Message {
    message("clicks", format!("click {number}"))
}
