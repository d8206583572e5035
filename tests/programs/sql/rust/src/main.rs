// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//! Statements through tokio-postgres: `program PORT` says "ready", and works after a line on its standard input.

use futures_util::future::join_all;
use futures_util::{pin_mut, SinkExt, StreamExt};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls};

async fn work(client: &mut Client) -> Result<(), Error> {
    client
        .batch_execute("CREATE TABLE crate (a int PRIMARY KEY, b text); INSERT INTO crate VALUES (0, 'secret')")
        .await?;
    let insert = client.prepare("INSERT INTO crate (a, b) VALUES ($1, $2)").await?;
    for a in 1..300i32 {
        client.execute(&insert, &[&a, &"secret"]).await?;
    }
    client.query("SELECT a, b FROM crate WHERE b = 'secret' AND a > $1", &[&7i32]).await?;
    client.simple_query("SELECT 1, 'secret'; SELECT b FROM crate WHERE a IN (1, 2, 3)").await?;
    assert!(client.execute(&insert, &[&1i32, &"secret"]).await.is_err());
    assert!(client.query("SELECT 'secret' FROM nowhere", &[]).await.is_err());
    assert!(client.simple_query("SELEKT 'secret'").await.is_err());

    // Thirty at once on one connection: they are pipelined.
    let one = client.prepare("SELECT b FROM crate WHERE a = $1").await?;
    let keys: Vec<i32> = (0..30).collect();
    let questions = keys.iter().map(|key| {
        let parameters: [&(dyn ToSql + Sync); 1] = [key];
        let (client, one) = (&*client, &one);
        async move { client.query_one(one, &parameters).await }
    });
    for row in join_all(questions).await {
        assert_eq!("secret", row?.get::<_, String>(0));
    }

    let transaction = client.transaction().await?;
    let portal = transaction.bind("SELECT a FROM crate ORDER BY a", &[]).await?;
    let mut rows = 0;
    loop {
        let part = transaction.query_portal(&portal, 100).await?.len();
        rows += part;
        if part < 100 {
            break;
        }
    }
    assert_eq!(300, rows);
    transaction.execute("UPDATE crate SET b = 'secret' WHERE a = 5", &[]).await?;
    transaction.rollback().await?;

    let sink = client.copy_in("COPY crate FROM STDIN").await?;
    pin_mut!(sink);
    let lines: &'static [u8] = b"1000\tsecret\n1001\tsecret\n";
    sink.send(lines).await?;
    assert_eq!(2, sink.finish().await?);
    let stream = client.copy_out("COPY crate TO STDOUT").await?;
    pin_mut!(stream);
    let mut bytes = 0;
    while let Some(part) = stream.next().await {
        bytes += part?.len();
    }
    assert!(bytes > 3000);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let port = std::env::args().nth(1).expect("usage: program PORT");
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line on the standard input");
    let address = format!("host=127.0.0.1 port={} user=app dbname=postgres", port);
    let (mut client, connection) = tokio_postgres::connect(&address, NoTls).await?;
    let driver = tokio::spawn(connection);
    work(&mut client).await?;
    drop(client);
    driver.await.expect("the connection's task")
}
