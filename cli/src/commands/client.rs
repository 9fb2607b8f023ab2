//! `sluicectl client …`

use super::{Outcome, shown};
use crate::args::{ClientCommand, Role};
use crate::connect::{Admin, Asked};
use crate::failure::Failure;
use crate::session::Session;
use crate::views::client::{Client, Clients};
use sluice_proto::admin::{ClientRole, DescribeClientRequest, ListClientsRequest};

pub(super) async fn run(command: &ClientCommand, session: &Session) -> Outcome {
    let admin = session.admin().await?;
    match command {
        ClientCommand::List { group, role } => shown(list(group, *role, admin).await?),
        ClientCommand::Show { client_id } => {
            let request = DescribeClientRequest {
                client_id: client_id.clone(),
            };
            let answer = admin.clients().describe_client(request).await;
            shown(Client::from(admin.answer(&Asked::client(client_id), answer)?))
        }
    }
}

async fn list(group: &str, role: Option<Role>, admin: &Admin) -> Result<Clients, Failure> {
    let role = match role {
        None => ClientRole::Unspecified,
        Some(Role::Producer) => ClientRole::Producer,
        Some(Role::Consumer) => ClientRole::Consumer,
    };
    let asked = if group.is_empty() {
        Asked::broker()
    } else {
        Asked::group(group)
    };
    let mut clients = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListClientsRequest {
            group: group.to_owned(),
            role: role.into(),
            page_size: 0,
            page_token,
        };
        let page = admin.answer(&asked, admin.clients().list_clients(request).await)?;
        clients.extend(page.clients.into_iter().map(Client::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Clients(clients));
        }
    }
}
