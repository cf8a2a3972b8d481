//! `${file:NAME}`: files of one directory, and no way out of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::{sent, unsent};
use crate::harness::{Cluster, programs, run_dir};
use crate::scene::Scene;

/// A directory of the server's user beside the cluster's data.
async fn directory(scene: &Scene) -> PathBuf {
    let directory = scene.cluster.socket_dir().join("secrets");
    run_dir::make_dir(&directory);
    scene.cluster.set("pg_edge.secrets_directory", &directory.to_string_lossy()).await;
    directory
}

fn write(directory: &std::path::Path, name: &str, content: &[u8]) {
    fs::write(directory.join(name), content).unwrap();
    run_dir::give_to_server(&directory.join(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_directory_is_read_when_the_call_is_sent() {
    let scene = Scene::start().await;
    let error = unsent(&scene, &scene.db, "${file:token}").await;
    assert_eq!(error, "${file:token} cannot be read: pg_edge.secrets_directory is not set");
    let directory = directory(&scene).await;
    write(&directory, "token", b"hush\n");
    crate::harness::eventually(
        "the dispatcher has read its settings",
        crate::harness::cluster::SERVER_DEADLINE,
        || async {
            let id = super::with_header(&scene.db, &scene.peer.url("/seen"), "${file:token}").await;
            crate::scene::ended(&scene.db, id).await.get::<_, String>("state") == "succeeded"
        },
    )
    .await;
    assert_eq!(sent(&scene, &scene.db, "Bearer ${file:token}").await, "Bearer hush");
    write(&directory, "token", b"changed");
    crate::harness::eventually("the new content is sent", crate::harness::cluster::SERVER_DEADLINE, || async {
        sent(&scene, &scene.db, "${file:token}").await == "changed"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_plain_small_file_of_the_directory_is_read() {
    let directory = std::env::temp_dir().join(format!("pg_edge-secrets-{}", std::process::id()));
    let builder = Cluster::builder().setting("pg_edge.secrets_directory", &directory.to_string_lossy());
    let scene = Scene::on(builder).await;
    let _ = fs::remove_dir_all(&directory);
    run_dir::make_dir(&directory);
    symlink("/etc/passwd", directory.join("link")).unwrap();
    symlink("..", directory.join("up")).unwrap();
    fs::create_dir(directory.join("inner")).unwrap();
    programs::run(programs::as_server("/usr/bin/mkfifo").arg(directory.join("pipe")));
    write(&directory, "large", &[b'x'; 64 * 1024 + 1]);
    write(&directory, "bytes", b"\xff\xfe");
    write(&directory, "lines", b"a\nb\n");
    let table = [
        ("none", "does not exist"),
        ("link", "it is a symbolic link"),
        ("up", "it is a symbolic link"),
        ("inner", "it is not a file"),
        ("pipe", "it is not a file"),
        ("large", "it has more than 65536 bytes"),
        ("bytes", "it is not UTF-8"),
        ("lines", "holds a line break"),
    ];
    for (name, why) in table {
        let error = unsent(&scene, &scene.db, &format!("${{file:{name}}}")).await;
        assert!(error.contains(why), "{name}: {error}");
    }
    fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_must_be_an_absolute_path() {
    let scene = Scene::start().await;
    assert_eq!(scene.db.fails("alter system set pg_edge.secrets_directory = 'secrets'").await.sqlstate, "22023");
    assert_eq!(scene.db.fails("alter system set pg_edge.secret_key_file = ''").await.sqlstate, "22023");
    let ada = scene.role("ada").await;
    assert_eq!(ada.fails("show pg_edge.secret_key_file").await.sqlstate, "42501");
}
