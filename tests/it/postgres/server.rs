//! A real PostgreSQL on a free port, people who use it, and the product's probes and hands on it. There is no
//! cluster here: the Kubernetes client leads nowhere.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use covet_tui::config::Outside;
use covet_tui::domain::{Action, Reading, Sql, Timestamp};
use covet_tui::guard::{Armed, Confirmation, Preview, Refusal};
use covet_tui::hands::Hands;
use covet_tui::journal::{Entry, Journal, Outcome};
use covet_tui::probes::Probes;
use tokio::sync::mpsc;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

/// A server of a test: ended, and only it, when the test is over.
pub struct Started(pub Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program, on PATH or where Debian puts PostgreSQL's.
pub fn program(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH");
    let on_path = path.into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let found = debian.chain(on_path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is needed for this test: tests/run installs it"))
}

/// PostgreSQL refuses to run as root: there, it runs as Debian's own user.
fn as_database_user(program: &Path, arguments: &[&str]) -> Command {
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
            .arg(program)
            .args(arguments);
        command
    } else {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }
}

pub struct Server {
    pub port: u16,
    _server: Started,
    folder: tempfile::TempDir,
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A server with `boss` (superuser), `app` and `other` (of applications), `eye` (pg_monitor and
/// pg_signal_backend), `blind` (nothing), the databases shop and other, and a table of users.
pub async fn server(settings: &str) -> Server {
    let server = bare(settings).await;
    let boss = server.connect("boss", "postgres").await;
    for statement in [
        "CREATE ROLE app LOGIN PASSWORD 'hunter22'",
        "CREATE ROLE other LOGIN PASSWORD 'hunter22'",
        "CREATE ROLE eye LOGIN PASSWORD 'hunter22'",
        "CREATE ROLE blind LOGIN PASSWORD 'hunter22'",
        "GRANT pg_monitor, pg_signal_backend TO eye",
        "CREATE DATABASE shop OWNER app",
        "CREATE DATABASE other OWNER other",
    ] {
        boss.batch_execute(statement).await.unwrap();
    }
    let shop = server.connect("boss", "shop").await;
    shop.batch_execute(
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
         GRANT ALL ON SCHEMA public TO app;
         SET ROLE app;
         CREATE TABLE users (id int PRIMARY KEY, username text, email text, is_active bool DEFAULT true, \
           failed_attempts int DEFAULT 0, last_login timestamptz);
         CREATE TABLE locks (id int PRIMARY KEY, n int);
         INSERT INTO locks SELECT n, 0 FROM generate_series(1, 20) n;
         INSERT INTO users (id, username, email) SELECT n, 'u' || n, 'u' || n || '@x.example' FROM generate_series(1, 20000) n;
         RESET ROLE; ANALYZE users; GRANT SELECT, UPDATE ON users TO eye",
    )
    .await
    .unwrap();
    server
}

/// A server with `boss` alone.
pub async fn bare(settings: &str) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).unwrap();
    let data = folder.path().join("data").display().to_string();
    let password = folder.path().join("password");
    std::fs::write(&password, "hunter22").unwrap();
    let password = format!("--pwfile={}", password.display());
    let made = as_database_user(
        &program("initdb"),
        &["-D", &data, "-U", "boss", "-A", "scram-sha-256", &password, "-N"],
    )
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .status()
    .unwrap();
    assert!(made.success(), "initdb");
    let port = free_port();
    let (number, sockets) = (port.to_string(), folder.path().display().to_string());
    let mut arguments = vec!["-D", &data, "-p", &number, "-k", &sockets];
    let usual =
        "listen_addresses=127.0.0.1 shared_preload_libraries=pg_stat_statements fsync=off autovacuum=off";
    for setting in usual.split(' ').chain(settings.split(' ')).filter(|setting| !setting.is_empty()) {
        arguments.extend(["-c", setting]);
    }
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child =
        as_database_user(&program("postgres"), &arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let server = Server { port, _server: Started(child), folder };
    for _ in 0..300 {
        if server.try_connect("boss", "postgres", "").await.is_ok() {
            return server;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("PostgreSQL did not start:\n{}", server.log());
}

impl Server {
    /// A replica that streams from this server under a name.
    pub async fn standby(&self, name: &str) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), everybody).unwrap();
        let data = folder.path().join("data").display().to_string();
        let from =
            format!("host=127.0.0.1 port={} user=boss password=hunter22 application_name={name}", self.port);
        let copied = as_database_user(
            &program("pg_basebackup"),
            &["-D", &data, "-d", &from, "-R", "-X", "stream", "-c", "fast"],
        )
        .stderr(Stdio::null())
        .status()
        .unwrap();
        assert!(copied.success(), "pg_basebackup");
        let port = free_port();
        let (number, sockets) = (port.to_string(), folder.path().display().to_string());
        let mut arguments = vec!["-D", &data, "-p", &number, "-k", &sockets];
        // It reports each second, not each ten.
        arguments.extend(["-c", "listen_addresses=127.0.0.1", "-c", "wal_receiver_status_interval=1s"]);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child =
            as_database_user(&program("postgres"), &arguments).stdout(Stdio::null()).stderr(log).spawn();
        let server = Server { port, _server: Started(child.unwrap()), folder };
        for _ in 0..300 {
            if server.try_connect("boss", "postgres", "").await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the replica did not start:\n{}", server.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}:hunter22@127.0.0.1:{}/{database}", self.port)
    }

    pub async fn connect(&self, role: &str, database: &str) -> Client {
        self.connect_as(role, database, "somebody").await
    }

    pub async fn connect_as(&self, role: &str, database: &str, application: &str) -> Client {
        self.try_connect(role, database, application).await.unwrap()
    }

    pub async fn try_connect(
        &self,
        role: &str,
        database: &str,
        application: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let url = format!("{}?application_name={application}", self.url(role, database));
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// How many sessions a condition on `pg_stat_activity` is true of.
    pub async fn count(&self, boss: &Client, condition: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type='client backend' AND {condition}"
        );
        boss.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// Waits until so many are.
    pub async fn until(&self, boss: &Client, condition: &str, wanted: i64) {
        for _ in 0..100 {
            if self.count(boss, condition).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not within 10 s: {wanted} sessions with {condition}");
    }

    pub fn outside(&self, role: &str) -> Outside {
        Outside { database_url: Some(self.url(role, "shop")), ..Outside::default() }
    }

    pub fn bench(&self, role: &str) -> Bench {
        Bench::new(self.outside(role), nowhere())
    }
}

/// A Kubernetes client whose server does not exist.
pub fn nowhere() -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap()
}

/// The product on a database.
pub struct Bench {
    pub probes: Probes,
    pub hands: Hands,
    pub armed: Armed,
    pub journal: Journal,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub fn new(outside: Outside, client: kube::Client) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path()).unwrap();
        Bench {
            probes: Probes::new(client.clone(), now, outside.clone()),
            hands: Hands::new(client, now, outside),
            armed: Armed::arm(),
            journal,
            folder,
        }
    }

    pub async fn read(&self, sql: Sql) -> Reading {
        let reading = self.probes.read(&Action::Postgres(sql), now()).await;
        println!("{} {:?}", reading.summary, reading.bindings);
        for (_, line) in &reading.lines {
            println!("  {line}");
        }
        reading
    }

    pub async fn preview(&self, sql: Sql) -> Result<Preview, Refusal> {
        let preview = self.hands.preview(&self.armed, Action::Postgres(sql), now()).await;
        match &preview {
            Ok(preview) => println!("{} {:?} {:?}", preview.title, preview.targets, preview.hazards),
            Err(refusal) => println!("refused: {refusal}"),
        }
        preview
    }

    pub fn confirm(&mut self, preview: Preview) -> Entry {
        let typed = match &preview.confirmation {
            Confirmation::Key => String::new(),
            Confirmation::Type(name) => name.to_string(),
        };
        let warrant = self.armed.confirm(preview, &typed, crate::acting::who(), now()).unwrap();
        self.journal.enter(warrant).unwrap()
    }

    pub async fn perform(&mut self, entry: Entry, cancel: CancellationToken) -> Outcome {
        let (progress, mut lines) = mpsc::channel(1_000);
        let outcome = self.hands.perform(entry, progress, cancel).await;
        while let Ok(line) = lines.try_recv() {
            println!("  {line}");
        }
        println!("{:?}", outcome.result);
        self.journal.close(&outcome).unwrap();
        outcome
    }

    /// The whole way: preview, confirm, journal, act, verify.
    pub async fn act(&mut self, sql: Sql) -> Outcome {
        let preview = self.preview(sql).await.unwrap();
        let entry = self.confirm(preview);
        self.perform(entry, CancellationToken::new()).await
    }

    pub async fn undo(&mut self, outcome: &Outcome) -> Outcome {
        let undo = outcome.undo.as_ref().expect("a way back");
        let preview = self.hands.preview_undo(&self.armed, undo, now()).await.unwrap();
        let entry = self.confirm(preview);
        self.perform(entry, CancellationToken::new()).await
    }

    /// Everything that the journal wrote.
    pub fn written(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
    }
}
