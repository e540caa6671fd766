//! Users: make one, look at one.

use seawall::openapi::{Operation, ToSchema, utoipa};
use seawall::prelude::*;
use serde::{Deserialize, Serialize};

use super::errors::bad_field;
use crate::domain::{Shop, User};

/// Characters of a name.
const MAX_NAME: usize = 100;

/// The routes below `/users`.
pub(super) fn routes() -> Group {
    let create = create.doc(
        about("Makes a user")
            .body::<CreateUser>()
            .answer::<UserView>(201, "the user")
            .error(422, "a bad name"),
    );
    let show = show.doc(
        about("A user").path::<u64>("id").answer::<UserView>(200, "the user").error(404, "unknown_user"),
    );
    Group::new().post("", create).get("/:id", show)
}

fn about(summary: &str) -> Operation {
    Operation::new(summary).tag("users")
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateUser {
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    name: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct UserView {
    id: u64,
    name: String,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self { id: user.id, name: user.name }
    }
}

async fn create(shop: State<Shop>, Json(body): Json<CreateUser>) -> Result<(StatusCode, Json<UserView>)> {
    let name = body.name.trim();
    let length = name.chars().count();
    if !(1..=MAX_NAME).contains(&length) {
        return Err(bad_field(
            "name",
            format_args!("{length} characters long"),
            format_args!("1 to {MAX_NAME}"),
        ));
    }
    let user = shop.add_user(name.to_owned()).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

async fn show(Path(id): Path<u64>, shop: State<Shop>) -> Result<Json<UserView>> {
    Ok(Json(shop.user(id).await?.into()))
}
