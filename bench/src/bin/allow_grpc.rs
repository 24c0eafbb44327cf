//! The yardstick: tonic's own server with an `ext_authz` that allows everything, on one thread, as anybody would write it.
//! `taskset -c 0 allow_grpc 3000`.

use envoy_types::ext_authz::v3::{
    CheckResponseExt as _,
    pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse},
};
use tonic::{Request, Response, Status, transport::Server};

struct Allow;

#[tonic::async_trait]
impl Authorization for Allow {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse::with_status(Status::ok("allowed"))))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>())?;
    Server::builder()
        .add_service(AuthorizationServer::new(Allow))
        .serve(([127, 0, 0, 1], port).into())
        .await?;
    Ok(())
}
