//! Open clients of one kind by the names the tests gave them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::failure::Failure;

/// A client is taken out of its slot when it is closed, for the client wants to be owned then.
pub struct Named<C> {
    clients: Mutex<HashMap<String, Slot<C>>>,
}

type Slot<C> = Arc<RwLock<Option<C>>>;

/// A client in use.
pub type InUse<C> = OwnedRwLockReadGuard<Option<C>, C>;

impl<C> Named<C> {
    /// Keeps a client.
    pub fn put(&self, name: &str, client: C) -> Result<(), Failure> {
        match self.clients.lock().entry(name.to_owned()) {
            Entry::Occupied(_) => Err(Failure::invalid(format!(
                "there is a client named {name} already"
            ))),
            Entry::Vacant(free) => {
                free.insert(Arc::new(RwLock::new(Some(client))));
                Ok(())
            }
        }
    }

    /// Borrows a client.
    pub async fn of(&self, name: &str) -> Result<InUse<C>, Failure> {
        let slot = self.clients.lock().get(name).cloned();
        let slot = slot.ok_or_else(|| absent(name))?.read_owned().await;
        OwnedRwLockReadGuard::try_map(slot, Option::as_ref).map_err(|_| absent(name))
    }

    /// Takes a client out once nobody uses it.
    pub async fn take(&self, name: &str) -> Result<C, Failure> {
        let slot = self.clients.lock().remove(name);
        let mut slot = slot.ok_or_else(|| absent(name))?.write_owned().await;
        slot.take().ok_or_else(|| absent(name))
    }
}

impl<C> Default for Named<C> {
    fn default() -> Self {
        Self {
            clients: Mutex::default(),
        }
    }
}

fn absent(name: &str) -> Failure {
    Failure::invalid(format!("there is no client named {name}"))
}
