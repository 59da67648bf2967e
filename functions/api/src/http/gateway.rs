//! Converts between the events of API Gateway's HTTP API (payload format 2.0) and the router's
//! requests.
//!
//! `lambda_http::run` is not used: it copies each body twice, which matters for 6 MB, and it panics
//! on a host or a query that is not valid in a URL. The router needs neither host nor scheme, so
//! they are left out. What the gateway reports about the request, the client's address and an id,
//! is passed on as [`Gateway`].

use std::fmt::Write;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Request, Uri, header},
    response::{IntoResponse, Response},
};
use lambda_http::{
    Error, LambdaEvent,
    aws_lambda_events::{
        apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
        encodings::{self, Base64Data},
    },
    lambda_runtime, service_fn,
    tower::ServiceExt,
};

use shared::platform::{metrics::Metrics, run_time::RunTime};

use crate::http::{error::ApiError, origin::Gateway};

/// Handles invocations until the environment ends.
pub async fn run(router: Router, run_time: &RunTime, metrics: &Metrics) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<ApiGatewayV2httpRequest>| {
        let handled = Box::pin(handle(router.clone(), event.payload));
        run_time.during(Box::pin(metrics.during(handled)))
    }))
    .await
}

/// Handles one invocation.
pub async fn handle(
    router: Router,
    event: ApiGatewayV2httpRequest,
) -> Result<ApiGatewayV2httpResponse, Error> {
    let response = match to_request(event) {
        Ok(request) => router.oneshot(request).await?,
        Err(error) => error.into_response(),
    };
    from_response(response).await
}

fn to_request(event: ApiGatewayV2httpRequest) -> Result<Request<Body>, ApiError> {
    let path = event.raw_path.unwrap_or_default();
    let mut uri = escape(
        &format!("/{}", path.strip_prefix('/').unwrap_or(&path)),
        b"?",
    );
    if let Some(query) = event.raw_query_string.filter(|query| !query.is_empty()) {
        uri.push('?');
        uri.push_str(&escape(&query, b""));
    }
    let uri: Uri = uri
        .parse()
        .map_err(|_| ApiError::Malformed("expected a path that is valid in a URL".to_owned()))?;
    let body = match event.body {
        Some(body) if event.is_base64_encoded => serde_json::from_value::<Base64Data>(body.into())
            .map(|bytes| Body::from(bytes.0))
            .map_err(|_| {
                ApiError::Malformed("expected a body in base64 from the gateway".to_owned())
            })?,
        Some(body) => Body::from(body),
        None => Body::empty(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = event.request_context.http.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = event.headers;
    // The gateway passes cookies as a list beside the headers.
    if let Some(cookies) = event.cookies.filter(|cookies| !cookies.is_empty())
        && let Ok(value) = HeaderValue::from_str(&cookies.join("; "))
    {
        request.headers_mut().insert(header::COOKIE, value);
    }
    let context = event.request_context;
    request.extensions_mut().insert(Gateway {
        address: context.http.source_ip,
        request_id: context.request_id,
    });
    Ok(request)
}

/// Percent-encodes what is not valid in a URL: the gateway decodes paths and queries in part.
fn escape(text: &str, also: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte) && !also.contains(&byte) {
            escaped.push(byte.into());
        } else {
            // Writing to a String never fails.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

async fn from_response(response: Response) -> Result<ApiGatewayV2httpResponse, Error> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.body = Some(match String::from_utf8(body.into()) {
        Ok(text) => encodings::Body::Text(text),
        Err(binary) => encodings::Body::Binary(binary.into_bytes()),
    });
    answer.is_base64_encoded = matches!(answer.body, Some(encodings::Body::Binary(_)));
    let mut headers = parts.headers;
    // Cookies cannot be joined into one header.
    let cookies = headers.get_all(header::SET_COOKIE).iter();
    answer.cookies = cookies
        .filter_map(|cookie| cookie.to_str().ok().map(str::to_owned))
        .collect();
    headers.remove(header::SET_COOKIE);
    answer.headers = one_value_each(headers);
    // The gateway sets it, and may compress the body.
    answer.headers.remove(header::CONTENT_LENGTH);
    Ok(answer)
}

/// Joins the values of each repeated header into one list (RFC 9110, section 5.3): the gateway gets
/// one value per header. Several layers add to `Vary`.
fn one_value_each(mut headers: HeaderMap) -> HeaderMap {
    let repeated: Vec<_> = headers
        .keys()
        .filter(|name| headers.get_all(*name).iter().count() > 1)
        .cloned()
        .collect();
    for name in repeated {
        let values: Vec<_> = headers
            .get_all(&name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b", "[..])) {
            headers.insert(name, joined);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use axum::routing::any;
    use serde_json::{Value, json};

    use super::*;

    fn event(path: &str, query: &str, body: &Value) -> ApiGatewayV2httpRequest {
        let http = json!({"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": ""});
        serde_json::from_value(json!({
            "version": "2.0", "rawPath": path, "rawQueryString": query, "body": body, "isBase64Encoded": *body == "AIs=",
            "headers": {"host": "not a host", "content-type": "text/plain"},
            "requestContext": {"http": http, "domainName": "x.execute-api.127.0.0.1", "stage": "$default"},
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn an_event_becomes_a_request_without_panicking() {
        let echo = Router::new().fallback(any(|uri: Uri, body: axum::body::Bytes| async move {
            format!("{uri} {:?}", body.as_ref()).into_response()
        }));
        let table = [
            (
                "/v1/a",
                "b=c%20d&e=f",
                json!("hi"),
                "/v1/a?b=c%20d&e=f [104, 105]",
            ),
            ("", "", Value::Null, "/ []"),
            (":80@x", "", Value::Null, "/:80@x []"),
            (
                "/ü \"?#",
                "q=ü <>|^`{}#",
                Value::Null,
                "/%C3%BC%20%22%3F%23?q=%C3%BC%20%3C%3E%7C%5E%60%7B%7D%23 []",
            ),
            ("/gzip", "", json!("AIs="), "/gzip [0, 139]"),
        ];
        for (path, query, body, expected) in table {
            let answer = handle(echo.clone(), event(path, query, &body))
                .await
                .unwrap();
            assert_eq!(
                (answer.status_code, answer.body),
                (200, Some(encodings::Body::Text(expected.to_owned())))
            );
            assert!(!answer.is_base64_encoded);
        }
    }

    #[tokio::test]
    async fn cookies_are_a_list_of_their_own() {
        let echo = Router::new().fallback(any(|headers: HeaderMap| async move {
            let given = headers[header::COOKIE].to_str().unwrap().to_owned();
            let set = [(header::SET_COOKIE, "c=3"), (header::SET_COOKIE, "d=4")];
            (axum::response::AppendHeaders(set), given)
        }));
        let mut event = event("/", "", &Value::Null);
        event.cookies = Some(vec!["a=1".to_owned(), "b=2".to_owned()]);
        let answer = handle(echo, event).await.unwrap();
        assert_eq!(
            answer.body,
            Some(encodings::Body::Text("a=1; b=2".to_owned()))
        );
        assert_eq!(answer.cookies, ["c=3", "d=4"]);
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }

    #[tokio::test]
    async fn a_repeated_header_becomes_one_list() {
        let vary = [
            ("vary", "accept"),
            ("vary", "accept-encoding"),
            ("etag", "W/\"x\""),
        ];
        let mut response = "hi".into_response();
        for (name, value) in vary {
            response
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        let answer = serde_json::to_value(from_response(response).await.unwrap()).unwrap();
        assert_eq!(answer["headers"]["vary"], "accept, accept-encoding");
        assert_eq!(answer["headers"]["etag"], "W/\"x\"");
    }
}
