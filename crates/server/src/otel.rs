//! Traces of requests to Keygate's own API, sent to a collector where the environment names one. No span holds a path, a
//! query or a header: what a request is called is its route's pattern.

use std::{io::Read as _, sync::OnceLock, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    http::Version,
    middleware::Next,
    response::Response,
};
use keygate_model::Method;
use opentelemetry::{propagation::TextMapPropagator as _, trace::TracerProvider as _};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::WithHttpConfig as _;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Instrument as _, Subscriber, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, registry::LookupSpan};

/// Where to send traces: for all signals, or for traces alone.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// How long a collector may take.
const SEND_MAX: Duration = Duration::from_secs(10);
const ANSWER_LEN_MAX: u64 = 64 * 1024;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What sends spans. None: nobody said where to.
pub(crate) fn layer<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    if ENDPOINTS.iter().all(|name| std::env::var_os(name).is_none()) {
        return None;
    }
    let provider = PROVIDER.get_or_init(|| match exporting() {
        Ok(provider) => provider,
        Err(why) => {
            tracing::warn!(error = %why, "no traces are sent");
            SdkTracerProvider::builder().build()
        }
    });
    // What the exporter itself says must not become spans.
    Some(tracing_opentelemetry::layer().with_tracer(provider.tracer("keygate")))
}

fn exporting() -> anyhow::Result<SdkTracerProvider> {
    let exporter =
        opentelemetry_otlp::SpanExporter::builder().with_http().with_http_client(Sender::new()?).build()?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("keygate");
    }
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}

/// Sends what waits.
pub(crate) fn flush() {
    if let Some(Err(why)) = PROVIDER.get().map(SdkTracerProvider::shutdown) {
        tracing::warn!(error = %why, "the last traces could not be sent");
    }
}

/// A span around a request.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    // A method of the caller's own could be anything.
    let method = request.method().as_str();
    let method = if Method::parse(method).is_some() { method } else { "_OTHER" };
    let version = match request.version() {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        network.protocol.version = version,
    );
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    // Where no layer listens there is nothing to belong to.
    let _ = span.set_parent(parent);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// The client of the command line, which waits: the exporter has a thread of its own.
#[derive(Debug)]
struct Sender(ureq::Agent);

impl Sender {
    fn new() -> anyhow::Result<Self> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(SEND_MAX))
            .tls_config(crate::cli::client::tls()?);
        Ok(Self(config.build().into()))
    }
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: opentelemetry_http::Request<Bytes>,
    ) -> Result<opentelemetry_http::Response<Bytes>, HttpError> {
        let answer = self.0.run(request.map(|body| body.to_vec()))?;
        let (parts, body) = answer.into_parts();
        let mut bytes = Vec::new();
        body.into_reader().take(ANSWER_LEN_MAX).read_to_end(&mut bytes)?;
        Ok(opentelemetry_http::Response::from_parts(parts, bytes.into()))
    }
}
