//! What a command works with: settings, the printer, and connections that are made when they are needed.

use crate::connect::{Admin, Asked, Client};
use crate::failure::{Failure, Kind};
use crate::output::Printer;
use crate::settings::{Address, Settings};
use sluice_proto::admin::GetStatusRequest;
use tokio::sync::OnceCell;

/// One run of a command.
pub struct Session {
    settings: Settings,
    printer: Printer,
    admin: OnceCell<Admin>,
}

impl Session {
    /// A run with these settings.
    pub fn new(settings: Settings, printer: Printer) -> Self {
        Self {
            settings,
            printer,
            admin: OnceCell::new(),
        }
    }

    /// Prints.
    pub fn printer(&self) -> &Printer {
        &self.printer
    }

    /// Which broker.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The admin API; connected at the first call, and again by itself when the connection breaks.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn admin(&self) -> Result<&Admin, Failure> {
        self.admin
            .get_or_try_init(|| Admin::connect(&self.settings))
            .await
    }

    /// The port for clients: `--endpoint`, else what the admin API names.
    ///
    /// # Errors
    /// When nobody answers at either.
    pub async fn client(&self) -> Result<Client, Failure> {
        let address = match &self.settings.endpoint {
            Some(address) => address.clone(),
            None => self.client_address().await?,
        };
        Client::connect(address, &self.settings).await
    }

    async fn client_address(&self) -> Result<Address, Failure> {
        let admin = self.admin().await?;
        let status = admin.broker().get_status(GetStatusRequest {}).await;
        let named = admin.answer(&Asked::broker(), status)?.client_address;
        Address::of_broker(&named)
            .map(|address| address.or_host_of(admin.address()))
            .ok_or_else(|| {
                Failure::new(
                    Kind::Failed,
                    format!("the broker names {named:?} as its address for clients"),
                )
                .hint("name it with --endpoint HOST:PORT")
            })
    }
}
