//! Settings: who wins, what is refused and in which words, what is shown.

use std::path::Path;

use covet_tui::config::{Flags, Scope, Settings, Source, commented_file, load, load_text, table};

fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn refused(text: &str) -> String {
    load_text(&mut Settings::default(), Path::new("c.toml"), text).unwrap_err().to_string()
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_folder, path) =
        file("namespace = \"file\"\ntheme = \"light\"\n\n[prometheus]\nurl = \"http://file:9090\"\n");
    let flags = Flags { namespace: Some("flag".into()), ..Flags::default() };
    let vars = [
        ("COVET_NAMESPACE", "env"),
        ("PROMETHEUS_URL", "http://env:9090"),
        ("COVET_REDIS_URL", "redis://own"),
    ];
    let both = [&vars[..], &[("REDIS_URL", "redis://common")]].concat();
    let settings = load(&flags, &env(&both), Some(&path)).unwrap();
    assert_eq!(settings.namespace.value, Scope::One("flag".into()));
    assert_eq!(settings.namespace.from, Source::Flag);
    assert_eq!(settings.prometheus.url.as_deref(), Some("http://env:9090"));
    assert_eq!(settings.prometheus.url.from, Source::Env("PROMETHEUS_URL"));
    assert_eq!(settings.redis_url.as_deref(), Some("redis://own"), "the product's own variable wins");
    assert_eq!(settings.theme.from, Source::File(path, 2));
    assert_eq!(settings.mouse.from, Source::Default);
}

#[test]
fn nobody_can_loosen_read_only() {
    let (_folder, path) = file("read_only = true\n");
    let settings = load(&Flags::default(), &env(&[("COVET_READ_ONLY", "0")]), Some(&path)).unwrap();
    assert!(*settings.read_only);
    let settings = load(&Flags::default(), &env(&[("COVET_READ_ONLY", "1")]), None).unwrap();
    assert!(*settings.read_only);
    assert_eq!(settings.read_only.from, Source::Env("COVET_READ_ONLY"));
    let flags = Flags { read_only: true, ..Flags::default() };
    assert!(*load(&flags, &env(&[]), None).unwrap().read_only);
}

#[test]
fn mistakes_are_named_with_their_place_and_what_is_allowed() {
    let unknown = refused("mouse = true\nnamspace = \"shop\"\n");
    assert!(unknown.starts_with("c.toml:2:1: unknown key `namspace`"), "{unknown}");
    assert!(unknown.contains("namespace") && unknown.contains("thresholds"), "{unknown}");
    let inside = refused("[prometheus]\nuri = \"x\"\n");
    assert!(inside.starts_with("c.toml:2:1:") && inside.contains("in [prometheus]"), "{inside}");
    assert!(inside.contains("url") && inside.contains("status_label"), "{inside}");
    let wrong = refused("read_only = \"yes\"\n");
    assert!(wrong.starts_with("c.toml:1:13:") && wrong.contains("true or false"), "{wrong}");
    let broken = refused("namespace = \n");
    assert!(broken.starts_with("c.toml:1:"), "{broken}");
    let threshold = refused("[thresholds]\n\"crash-loop.restarts\" = \"many\"\n");
    assert!(threshold.starts_with("c.toml:2:") && threshold.contains("is a number"), "{threshold}");
    let place = refused("namespace = \"Not A Name\"\n");
    assert!(place.contains("a namespace's name"), "{place}");
    let missing = load(&Flags::default(), &env(&[]), Some(Path::new("/nowhere/config.toml"))).unwrap_err();
    assert!(missing.to_string().starts_with("/nowhere/config.toml: cannot be read"), "{missing}");
    let variable = load(&Flags::default(), &env(&[("COVET_MOUSE", "perhaps")]), None).unwrap_err();
    assert!(variable.to_string().starts_with("$COVET_MOUSE: is 1, true"), "{variable}");
    let pattern = load(&Flags::default(), &env(&[("COVET_PROTECTED_CONTEXTS", "prod,(")]), None).unwrap_err();
    assert!(pattern.to_string().contains("no regular expression"), "{pattern}");
}

#[test]
fn thresholds_are_numbers_by_rule_in_either_writing() {
    let mut settings = Settings::default();
    let text =
        "[thresholds]\n\"crash-loop.restarts\" = 5\n[thresholds.node-notready]\nlease_seconds = 40.5\n";
    load_text(&mut settings, Path::new("c.toml"), text).unwrap();
    let values = settings.threshold_values();
    assert!((values["crash-loop.restarts"] - 5.0).abs() < 1e-9, "{values:?}");
    assert!((values["node-notready.lease_seconds"] - 40.5).abs() < 1e-9, "{values:?}");
    let line = settings.thresholds["node-notready.lease_seconds"].from.to_string();
    assert_eq!(line, "c.toml:4");
}

#[test]
fn the_kubeconfig_fills_in_what_nobody_chose() {
    let kubeconfig = "apiVersion: v1\nkind: Config\ncurrent-context: prod-eu\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n\
        contexts:\n- {name: prod-eu, context: {cluster: c, user: u, namespace: shop}}\n- {name: dev, context: {cluster: c, user: u}}\n";
    let (_folder, path) = file(kubeconfig);
    let path = path.display().to_string();
    let vars = [("KUBECONFIG", path.as_str())];
    let settings = load(&Flags::default(), &env(&vars), None).unwrap();
    assert_eq!(settings.context.as_deref(), Some("prod-eu"));
    assert_eq!(settings.namespace.value, Scope::One("shop".into()));
    assert!(settings.is_protected());
    let flags = Flags { context: Some("dev".into()), all_namespaces: true, ..Flags::default() };
    let settings = load(&flags, &env(&vars), None).unwrap();
    assert_eq!(settings.namespace.value, Scope::All);
    assert!(!settings.is_protected());
}

#[test]
fn what_is_shown_holds_no_secret_and_what_is_written_can_be_read() {
    let vars =
        [("DATABASE_URL", "postgresql://app:hunter22@db/shop"), ("REDIS_URL", "redis://:hunter22@cache")];
    let mut settings = load(&Flags::default(), &env(&vars), None).unwrap();
    load_text(
        &mut settings,
        Path::new("c.toml"),
        "sheddable = [\"shop/reports\"]\n[thresholds]\n\"a.b\" = 2\n",
    )
    .unwrap();
    let rows = table(&settings);
    assert!(rows.iter().any(|(key, value, _)| key == "database.url" && value.contains("•••")), "{rows:?}");
    assert!(!format!("{rows:?}").contains("hunter22"), "{rows:?}");
    let written = commented_file(&settings);
    assert!(!written.contains("hunter22"), "{written}");
    let mut again = Settings::default();
    load_text(&mut again, Path::new("w.toml"), &written).unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(again.sheddable.value, ["shop/reports"]);
    assert_eq!(again.threshold_values(), settings.threshold_values());
    // Everything that is only suggested is valid, too.
    let uncommented: String = written
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
        .filter(|line| !line.contains("overrides of the rules"))
        .map(|line| format!("{line}\n"))
        .collect();
    load_text(&mut Settings::default(), Path::new("w.toml"), &uncommented)
        .unwrap_or_else(|error| panic!("{error}\n{uncommented}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_way_to_the_cluster_is_explained() {
    let kubeconfig = |user: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: dev\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
             users: [{{name: u, user: {user}}}]\ncontexts: [{{name: dev, context: {{cluster: c, user: u}}}}]\n"
        )
    };
    let plugin = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Always, \
        args: ['-c', 'printf \"\\033[31mtoken=hunter2222 session expired\\n\" >&2; exit 3']}}";
    for (text, context, words, repair) in [
        (kubeconfig(plugin), None, "session expired", "log in again"),
        (
            kubeconfig("{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin}}"),
            None,
            "does not start",
            "PATH",
        ),
        (kubeconfig("{}"), Some("prod"), "no context `prod`", "dev"),
        (
            kubeconfig("{client-certificate: /nowhere.pem, client-key: /nowhere.key}"),
            None,
            "certificate",
            "credentials",
        ),
        ("a: [b".to_owned(), None, "not valid YAML", "kubectl config view"),
    ] {
        let (_folder, path) = file(&text);
        let path = path.display().to_string();
        let flags = Flags { context: context.map(str::to_owned), ..Flags::default() };
        let settings = load(&flags, &env(&[("KUBECONFIG", path.as_str())]), None).unwrap();
        let Err(error) = covet_tui::config::client(&settings).await else { panic!("{words}: no error") };
        assert!(error.why.contains(words), "{}", error.why);
        assert!(error.repair.as_deref().is_some_and(|found| found.contains(repair)), "{error:?}");
        assert!(!error.why.contains("hunter2222") && !error.why.contains('\u{1b}'), "{}", error.why);
    }
}
