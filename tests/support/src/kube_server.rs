//! A real API server of Kubernetes with its etcd on 127.0.0.1, which end with the test. There is no controller, no
//! scheduler and no kubelet: what kubectl puts there stays as it is, but for what the API server keeps for itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::peers;
use crate::server::{Server, free_ports, run};

/// The version of Kubernetes.
pub const KUBERNETES: &str = "1.37.2";
/// The version of its etcd.
pub const ETCD: &str = "3.6.14";

/// Its file of keys, if it has one.
const ENCRYPTION: &str = "encryption.json";

/// What it writes down of requests, if it does, and where.
const POLICY: &str = "audit.yaml";
const AUDIT: &str = "audit.log";

/// Who has it may do all.
const TOKEN: &str = "interop";

/// The API server, its etcd and its directory.
pub struct KubeServer {
    pub etcd: Server,
    apiserver: PathBuf,
    kubectl: PathBuf,
    child: Option<Child>,
    home: tempfile::TempDir,
}

impl KubeServer {
    /// Starts one with nothing in it; `None` if the programs are not installed.
    pub fn start() -> Option<KubeServer> {
        KubeServer::start_with(|_| {})
    }

    /// Starts one that writes down who asks for what: gives it with the path of that log.
    pub fn start_audited(policy: &str) -> Option<(KubeServer, PathBuf)> {
        let server = KubeServer::start_with(|home| fs::write(home.join(POLICY), policy).unwrap())?;
        let log = server.home.path().join(AUDIT);
        Some((server, log))
    }

    fn start_with(prepare: impl FnOnce(&Path)) -> Option<KubeServer> {
        let (apiserver, kubectl) = (find("kube-apiserver")?, find("kubectl")?);
        let (etcd, home) = (Server::start(ETCD, &[])?, tempfile::tempdir().unwrap());
        prepare(home.path());
        let mut server = KubeServer { etcd, apiserver, kubectl, child: None, home };
        server.up();
        Some(server)
    }

    fn up(&mut self) {
        // Another process may take the port between our looking and the server's binding.
        for _ in 0..5 {
            let [port, _] = free_ports();
            prepare(self.home.path(), port);
            self.child = Some(spawn(&self.apiserver, self.home.path(), port, self.etcd.endpoint()));
            if self.answers() {
                return;
            }
        }
        panic!("the API server found its port taken five times");
    }

    /// Waits until it does; `false` if its port was taken.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(180);
        while !self.try_kubectl(&["get", "--raw", "/readyz"], b"").status.success() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.home.path().join("log")).unwrap();
                assert!(
                    ended.is_some() && log.contains("address already in use"),
                    "the API server does not start:\n{log}"
                );
                return false;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        true
    }

    /// Runs kubectl.
    pub fn try_kubectl(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = peers::command(&self.kubectl, self.home.path());
        run(command.args(["--kubeconfig", "kubeconfig"]).args(args), stdin)
    }

    /// Runs kubectl, which must succeed.
    pub fn kubectl_stdin(&self, args: &[&str], stdin: &[u8]) -> String {
        let Output { status, stdout, stderr } = self.try_kubectl(args, stdin);
        assert!(status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// Runs kubectl, which must succeed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.kubectl_stdin(args, b"")
    }

    /// Ends the API server, and then its etcd as an operator does; gives the latter's directory.
    pub fn stop(&mut self) -> PathBuf {
        self.end();
        self.etcd.stop();
        self.etcd.home().join("data")
    }

    /// Ends both at once, as a power failure does; gives the directory of etcd.
    pub fn kill(&mut self) -> PathBuf {
        self.etcd.kill();
        self.end();
        self.etcd.home().join("data")
    }

    /// Has it encrypt by this configuration from now on.
    pub fn encrypt(&mut self, configuration: &str) {
        self.end();
        fs::write(self.home.path().join(ENCRYPTION), configuration).unwrap();
        self.up();
    }

    /// Starts both again on what is in that directory now.
    pub fn restart(&mut self) {
        self.etcd.restart();
        self.up();
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only if it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for KubeServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn find(program: &str) -> Option<PathBuf> {
    peers::find(&format!("kubernetes-{KUBERNETES}/{program}"))
}

/// Who may come in, and what kubectl needs to.
fn prepare(home: &Path, port: u16) {
    fs::write(home.join("tokens"), format!("{TOKEN},admin,admin,system:masters\n")).unwrap();
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true,
        }}],
        "users": [{"name": "it", "user": {"token": TOKEN}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    fs::write(home.join("kubeconfig"), config.to_string()).unwrap();
}

fn spawn(apiserver: &Path, home: &Path, port: u16, etcd: &str) -> Child {
    let log = File::create(home.join("log")).unwrap();
    let port = port.to_string();
    let mut command = peers::command(apiserver, home);
    command.args(["--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--secure-port", &port]).args([
        "--cert-dir=certs",
        // It makes a key and a certificate for itself there, and its key does for the tokens too.
        "--service-account-issuer=https://interop.example.com",
        "--service-account-key-file=certs/apiserver.key",
        "--service-account-signing-key-file=certs/apiserver.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--token-auth-file=tokens",
        "--authorization-mode=AlwaysAllow",
        // Pods without a controller that makes their service account.
        "--disable-admission-plugins=ServiceAccount",
        "--runtime-config=api/all=true",
        "--feature-gates=AllAlpha=true,AllBeta=true,CBORServingAndStorage=false",
        "--etcd-compaction-interval=0",
    ]);
    if home.join(ENCRYPTION).exists() {
        command.arg(format!("--encryption-provider-config={ENCRYPTION}"));
    }
    if home.join(POLICY).exists() {
        command.args(["--audit-policy-file", POLICY, "--audit-log-path", AUDIT]);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}
