//! As much of a REST interface as functions report by: `POST /rest/v1/rpc/NAME` calls `edge.NAME` with the members of the JSON
//! body as its arguments, by name, and answers with what it gives. It is a model of PostgREST, which is not there.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::Db;

/// A running interface. Dropping it ends it.
pub struct Rest {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    serving: JoinHandle<()>,
}

impl Rest {
    /// Calls as the role of this session.
    pub async fn start(session: Db) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (session, heard) = (Arc::new(session), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&heard);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (session, heard) = (Arc::clone(&session), Arc::clone(&told));
                let answer = service_fn(move |request| answer(request, Arc::clone(&session), Arc::clone(&heard)));
                tokio::spawn(async move {
                    // A client may break off at any time.
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { address, heard, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was called, and what it gave.
    pub fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().expect("no answer panics").clone()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    session: Arc<Db>,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let name = request.uri().path().strip_prefix("/rest/v1/rpc/").unwrap_or_default().to_owned();
    let profile = request.headers().get("content-profile").is_some_and(|profile| profile == "edge");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, said) = match serde_json::from_slice(&body) {
        Ok(Value::Object(arguments)) if profile && name.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            call(&session, &name, &Value::Object(arguments)).await
        }
        _ => (400, json!({"message": "this is no call of a function"})),
    };
    heard.lock().expect("no answer panics").push((name, said.clone()));
    let response = hyper::Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(said.to_string()))).expect("the response is well formed"))
}

async fn call(session: &Db, name: &str, arguments: &Value) -> (u16, Value) {
    let types = [
        ("id", "bigint"),
        ("token", "text"),
        ("result", "jsonb"),
        ("error", "text"),
        ("retry", "boolean"),
        ("progress", "jsonb"),
    ];
    let given = types.iter().filter(|(argument, _)| arguments.get(argument).is_some());
    let list: Vec<String> = given
        .map(|(argument, kind)| match *kind {
            "jsonb" => format!("{argument} => $1 -> '{argument}'"),
            _ => format!("{argument} => ($1 ->> '{argument}')::{kind}"),
        })
        .collect();
    let sql = format!("select edge.{name}({})", list.join(", "));
    match session.client().query_one(&sql.replace("$1", "$1::jsonb"), &[arguments]).await {
        Ok(row) => (200, json!(row.get::<_, bool>(0))),
        Err(error) => (400, json!({"message": error.to_string()})),
    }
}
