// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//! The service in Rust of the parents benchmark (../../README.md): axum and reqwest on tokio's threads.

use axum::{extract::Query, http::StatusCode, routing::get, Router};
use futures_util::future::{try_join_all, BoxFuture};
use std::{env, error::Error, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, Mutex};

type Failure = Box<dyn Error + Send + Sync>;
type Job = (String, Vec<String>, usize, oneshot::Sender<Result<(), Failure>>);

struct Service {
    url: String,
    web: reqwest::Client,
    database: Option<deadpool_postgres::Pool>,
    jobs: mpsc::UnboundedSender<Job>,
}

impl Service {
    async fn call(&self, kind: &str, name: String) -> Result<(), Failure> {
        match kind {
            "http" => {
                let answer = self.web.get(format!("{}{name}", self.url)).send().await?;
                answer.error_for_status()?.bytes().await?;
            }
            "sql" => {
                let database = self.database.as_ref().ok_or("no database")?.get().await?;
                let text = format!("SELECT pg_sleep(0.002) AS r{}", name.replace('.', "_"));
                database.simple_query(&text).await?;
            }
            _ => return Err(format!("unknown step {kind}").into()),
        }
        Ok(())
    }

    /// Runs the steps; `made` calls were made before.
    fn run(self: Arc<Self>, id: String, steps: Vec<String>, mut made: usize) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let mut i = 0;
            while i < steps.len() {
                if steps[i] == "timer" {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    i += 1;
                } else if steps[i] == "queue" {
                    let (done, waiting) = oneshot::channel();
                    self.jobs.send((id, steps[i + 1..].to_vec(), made, done))?;
                    return waiting.await?;
                } else if steps[i].ends_with(":parallel") {
                    let mut waiting = Vec::new();
                    while i < steps.len() && steps[i].ends_with(":parallel") {
                        waiting.push(self.call(steps[i].trim_end_matches(":parallel"), format!("{id}.{made}")));
                        made += 1;
                        i += 1;
                    }
                    try_join_all(waiting).await?;
                } else {
                    self.call(&steps[i], format!("{id}.{made}")).await?;
                    made += 1;
                    i += 1;
                }
            }
            Ok(())
        })
    }
}

#[derive(serde::Deserialize)]
struct Asked {
    id: String,
    plan: String,
}

fn database() -> Option<deadpool_postgres::Pool> {
    let mut settings = tokio_postgres::Config::new();
    settings.host(env::var("PGHOST").ok()?).port(env::var("PGPORT").ok()?.parse().ok()?);
    settings.user(env::var("PGUSER").ok()?).dbname(env::var("PGDATABASE").ok()?);
    let manager = deadpool_postgres::Manager::new(settings, tokio_postgres::NoTls);
    deadpool_postgres::Pool::builder(manager).max_size(16).build().ok()
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (jobs, waiting) = mpsc::unbounded_channel::<Job>();
    let service = Arc::new(Service {
        url: env::var("HTTP_URL")?,
        web: reqwest::Client::new(),
        database: database(),
        jobs,
    });
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..8 {
        let (service, waiting) = (service.clone(), waiting.clone());
        tokio::spawn(async move {
            loop {
                let next = waiting.lock().await.recv().await;
                let Some((id, steps, made, done)) = next else { return };
                let _ = done.send(service.clone().run(id, steps, made).await);
            }
        });
    }
    let work = move |Query(asked): Query<Asked>| async move {
        let steps = asked.plan.split(',').map(String::from).collect();
        match service.run(asked.id.clone(), steps, 0).await {
            Ok(()) => (StatusCode::OK, "ok"),
            Err(error) => {
                eprintln!("{} {} {error}", asked.id, asked.plan);
                (StatusCode::INTERNAL_SERVER_ERROR, "failed")
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?.port());
    axum::serve(listener, Router::new().route("/work", get(work))).await?;
    Ok(())
}
