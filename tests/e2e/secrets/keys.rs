//! The file of keys: made, refused, rotated, lost, and never in a dump.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{sent, unsent};
use crate::harness::{Cluster, Stop, programs};
use crate::scene::Scene;

fn key_file(scene: &Scene) -> PathBuf {
    scene.cluster.data_dir().join("pg_edge.key")
}

fn keys(scene: &Scene) -> Vec<String> {
    fs::read_to_string(key_file(scene)).unwrap().lines().map(str::to_owned).collect()
}

async fn key_ids(scene: &Scene) -> Vec<String> {
    scene.db.column("select distinct key_id from edge.secrets").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_made_on_first_need_for_its_owner_alone() {
    let scene = Scene::start().await;
    assert!(!key_file(&scene).exists(), "nobody has set a secret yet");
    scene.db.exec("select edge.set_secret('a', 'hush')").await;
    assert_eq!(fs::metadata(key_file(&scene)).unwrap().permissions().mode() & 0o7777, 0o600);
    let before = keys(&scene);
    scene.db.exec("select edge.set_secret('b', 'hush')").await;
    assert_eq!(keys(&scene), before);
    assert_eq!(before.len(), 1);
    assert_eq!(key_ids(&scene).await, [before[0].split(' ').next().unwrap()]);
    let left: Vec<_> = fs::read_dir(scene.cluster.data_dir()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.iter().filter(|name| name.to_string_lossy().starts_with("pg_edge.key")).count(), 1, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_need_the_first_key_at_once_get_the_same() {
    let scene = Scene::start().await;
    let mut sessions = Vec::new();
    for number in 0..8 {
        let db = scene.cluster.connect().await;
        sessions.push(tokio::spawn(async move {
            db.exec(&format!("select edge.set_secret('s{number}', 'value {number}')")).await;
        }));
    }
    for session in sessions {
        session.await.unwrap();
    }
    assert_eq!(keys(&scene).len(), 1);
    for number in 0..8 {
        assert_eq!(sent(&scene, &scene.db, &format!("${{secret:s{number}}}")).await, format!("value {number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_may_read_or_that_holds_no_keys_is_refused_by_name() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('a', 'hush')").await;
    let good = fs::read(key_file(&scene)).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(key_file(&scene), Permissions::from_mode(mode)).unwrap();
        let refused = scene.db.fails("select edge.set_secret('b', 'hush')").await;
        assert_eq!(refused.sqlstate, "55000");
        assert!(refused.message.contains("\"pg_edge.key\" cannot be used: others than its owner"), "{refused}");
        assert!(unsent(&scene, &scene.db, "${secret:a}").await.contains("others than its owner"));
    }
    fs::set_permissions(key_file(&scene), Permissions::from_mode(0o600)).unwrap();
    for content in ["", "not a key at all\n", "0123456789abcdef aGVsbG8=\n"] {
        fs::write(key_file(&scene), content).unwrap();
        let refused = scene.db.fails("select edge.set_secret('b', 'hush')").await;
        assert!(refused.message.contains("pg_edge.key"), "{refused}");
        for part in ["not a key at all", "aGVsbG8="] {
            assert!(!refused.to_string().contains(part), "{refused}");
        }
    }
    fs::write(key_file(&scene), good).unwrap();
    assert_eq!(sent(&scene, &scene.db, "${secret:a}").await, "hush");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_encrypts_everything_anew_and_keeps_the_old_key() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('a', 'hush'), edge.set_secret('b', 'hush too')").await;
    let before: Vec<String> =
        scene.db.column("select encode(ciphertext, 'hex') from edge_store.secret order by name").await;
    let old = keys(&scene);
    assert_eq!(scene.db.one::<i32>("select edge.rotate_secret_key()").await, 2);
    let new = keys(&scene);
    assert_eq!((new.len(), &new[0]), (2, &old[0]));
    assert_eq!(key_ids(&scene).await, [new[1].split(' ').next().unwrap()]);
    let after: Vec<String> =
        scene.db.column("select encode(ciphertext, 'hex') from edge_store.secret order by name").await;
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    assert_eq!(sent(&scene, &scene.db, "${secret:a} ${secret:b}").await, "hush hush too");
    // The old key can go now, in this database.
    fs::write(key_file(&scene), format!("{}\n", new[1])).unwrap();
    scene.db.exec("select edge.set_secret('c', 'x')").await;
    assert_eq!(sent(&scene, &scene.db, "${secret:a} ${secret:b}").await, "hush hush too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_rolled_back_leaves_every_secret_readable() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('a', 'hush')").await;
    scene.db.exec("begin; select edge.rotate_secret_key(); rollback").await;
    scene.db.exec("select edge.set_secret('b', 'hush too')").await;
    assert_eq!(sent(&scene, &scene.db, "${secret:a} ${secret:b}").await, "hush hush too");
    assert_eq!(key_ids(&scene).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_a_secret_is_an_error() {
    let mut scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('a', 'hush')").await;
    let good = fs::read(key_file(&scene)).unwrap();
    fs::remove_file(key_file(&scene)).unwrap();
    scene.cluster.restart(Stop::Fast);
    scene.db = scene.cluster.connect().await;
    let error = unsent(&scene, &scene.db, "${secret:a}").await;
    assert!(error.starts_with("${secret:a} cannot be read: the key file cannot be used:"), "{error}");
    scene.db.exec("select edge.set_secret('b', 'hush too')").await;
    let error = unsent(&scene, &scene.db, "${secret:a}").await;
    assert!(error.contains("it does not hold key "), "{error}");
    assert_eq!(scene.db.fails("select edge.rotate_secret_key()").await.sqlstate, "55000");
    let both = [good, fs::read(key_file(&scene)).unwrap()].concat();
    fs::write(key_file(&scene), both).unwrap();
    scene.db.exec("select edge.set_secret('c', 'x')").await;
    assert_eq!(sent(&scene, &scene.db, "${secret:a} ${secret:b}").await, "hush hush too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_holds_the_secrets_encrypted_and_can_be_restored_beside_the_key() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('a', 'hush')").await;
    let mut pg_dump = programs::client_program("pg_dump");
    pg_dump.args(["--username=postgres", "--dbname=postgres", "--host"]).arg(scene.cluster.socket_dir());
    let dump = String::from_utf8(programs::run(&mut pg_dump).stdout).unwrap();
    let key = keys(&scene)[0].clone();
    let secret = key.split(' ').nth(1).unwrap().to_owned();
    assert!(dump.contains("COPY edge_store.secret") && !dump.contains("hush") && !dump.contains(&secret), "{dump}");
    scene.cluster.create_database("restored").await;
    let file = scene.cluster.socket_dir().join("dump.sql");
    fs::write(&file, dump).unwrap();
    let mut psql = scene.cluster.psql_command();
    programs::run(psql.args(["--quiet", "--dbname=restored", "--file"]).arg(&file));
    let restored = scene.cluster.connect_as("postgres", "restored").await;
    assert_eq!(sent(&scene, &restored, "${secret:a}").await, "hush");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_may_lie_anywhere() {
    let directory = std::env::temp_dir().join(format!("pg_edge-keys-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    crate::harness::run_dir::make_dir(&directory);
    let file = directory.join("keys");
    let scene = Scene::on(Cluster::builder().setting("pg_edge.secret_key_file", &file.to_string_lossy())).await;
    scene.db.exec("select edge.set_secret('a', 'hush')").await;
    assert!(file.exists() && !key_file(&scene).exists());
    assert_eq!(sent(&scene, &scene.db, "${secret:a}").await, "hush");
    fs::remove_dir_all(&directory).unwrap();
}
