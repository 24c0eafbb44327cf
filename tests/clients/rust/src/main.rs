//! Fastly's own Rust client as a program: one script per area, which does in turn what the scripts beside it do with
//! the Python and the JavaScript client. `fastly-api-client AREA < given.json`

mod account;
mod iam;
mod sharing;
mod snippet;
mod steps;
mod token;
mod work;

use steps::Given;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let area = std::env::args().nth(1).unwrap_or_default();
    if area == "snippet" {
        return snippet::main().await.unwrap_or_else(|error| panic!("{error}"));
    }
    let given = Given::read();
    match area.as_str() {
        "tokens" => token::tokens(&given).await,
        "automation_tokens" => token::automation_tokens(&given).await,
        "automation_token_parts" => token::automation_token_parts(&given).await,
        "events" => work::events(&given).await,
        "services" => work::services(&given).await,
        "purge" => work::purge(&given).await,
        "current" => account::current(&given).await,
        "users" => account::users(&given).await,
        "password" => account::password(&given).await,
        "customer" => account::customer(&given).await,
        "contacts" => account::contacts(&given).await,
        "invitations" => sharing::invitations(&given).await,
        "service_authorizations" => sharing::service_authorizations(&given).await,
        "iam_roles" => iam::roles(&given).await,
        "permissions" => iam::permissions(&given).await,
        "service_groups" => iam::service_groups(&given).await,
        "user_groups" => iam::user_groups(&given).await,
        other => panic!("there is no area {other:?}"),
    }
}
