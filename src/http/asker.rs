//! Who makes the request that a task handles, and the ids that it begins.

use consorcio_core::access::{Name, Principal, owner_of};
use consorcio_core::ids::TxId;

tokio::task_local! {
    /// Who makes the request that this task handles.
    static ASKER: Principal;
}

/// Runs the handler of a request that `asker` makes.
pub(crate) async fn scope<T>(asker: Principal, answer: impl Future<Output = T>) -> T {
    ASKER.scope(asker, answer).await
}

/// Who makes the request that this task handles; `None` for a task of no request, and in open mode.
pub(crate) fn current() -> Option<Principal> {
    ASKER.try_with(Clone::clone).ok()
}

/// The name that ids of the asker begin with.
pub(crate) fn owner() -> Option<Name> {
    current().and_then(|asker| asker.name())
}

/// The id of the asker's transaction that it calls `given`: it begins with the asker's name. `None`
/// if it would be too long.
pub(crate) fn owned(given: &TxId) -> Option<TxId> {
    match owner() {
        Some(name) if owner_of(given) != Some(name.as_str()) => {
            TxId::new(&format!("{name}.{given}")).ok()
        }
        Some(_) | None => Some(given.clone()),
    }
}
