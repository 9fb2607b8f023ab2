//! Clients by id, a page at a time.

use crate::admin::page::{NAMES_MAX, Page, Scope, fitting};
use crate::admin::{Outcome, Shared, convert};
use crate::clients::Filter;
use crate::service::validate;
use sluice_proto::admin::{ListClientsRequest, ListClientsResponse};

pub(super) async fn handle(shared: &Shared, request: ListClientsRequest) -> Outcome<ListClientsResponse> {
    let role = request.role.to_string();
    let scope = Scope {
        call: "ListClients",
        filters: &[&request.group, &role],
    };
    let page = Page::of(scope, request.page_size, &request.page_token, NAMES_MAX)?;
    let filter = Filter {
        role: convert::client::role(request.role)?,
        group: match request.group.as_str() {
            "" => None,
            name => {
                validate::group_name(name)?;
                Some(name.to_owned())
            }
        },
    };
    let (views, more) = shared.insight.list(filter, page.after, page.size).await?;
    let (clients, too_long) = fitting(views.iter().map(convert::client::client));
    let last = clients.last().filter(|_| more || too_long);
    Ok(ListClientsResponse {
        next_page_token: last.map_or_else(String::new, |last| scope.write(&last.client_id)),
        clients,
    })
}
