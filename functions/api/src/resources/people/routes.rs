//! Routes of `/v1/people`.

use shared::access::Permission::{PeopleErase, PeopleRead};

use crate::{
    auth::access::Access::Requires,
    resources::people::{erase, show},
    route::{Route, delete, get},
};

/// Returns the routes of people.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/people/{phone}",
            Requires(PeopleRead),
            show::show,
            show::show_doc,
        ),
        delete(
            "/v1/people/{phone}",
            Requires(PeopleErase),
            erase::erase,
            erase::erase_doc,
        ),
    ]
}
