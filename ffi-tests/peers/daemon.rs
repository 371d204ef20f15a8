//! Daemons of the system (nginx, squid, tinyproxy, `openssl s_server`), each in the foreground, in a directory and on a
//! port of its own; they end with the value that started them, and by themselves if that cannot be.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::harness::{find, Env, Running, PEERS};

/// Longest life of a daemon, in seconds: what is left of a test run that was killed.
const LIFE: &str = "300";
/// How long one may take to end.
const END: Duration = Duration::from_secs(30);

/// A directory under the system's own for such things, which daemons that give up root can reach; removed on drop.
pub struct Directory(PathBuf);

impl Directory {
    /// A new one.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gwa-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    /// With `ca.pem`, `leaf.pem` and `leaf.key` in it.
    pub fn with_certificates(name: &str) -> Self {
        let directory = Self::new(name);
        let script = Path::new(PEERS).join("certificate.sh");
        let made = Command::new("sh").arg(script).arg(&directory.0).status();
        assert!(made.is_ok_and(|status| status.success()), "certificates are made");
        directory
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.file(name), text).expect("a file is written");
        self.file(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port that is ours: bound and never listening. A daemon may listen on it (all of them reuse addresses); while none
/// does, the kernel refuses connections to it and gives it to nobody else.
pub struct Port {
    /// On 127.0.0.1.
    pub number: u16,
    _claim: Socket,
}

impl Port {
    /// Any free one.
    pub fn claim() -> Self {
        let claim = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        claim.set_reuse_address(true).expect("an option");
        claim.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        let address = claim.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
        Self { number: address.port(), _claim: claim }
    }
}

/// A daemon that runs.
pub struct Daemon(Option<Running>);

impl Daemon {
    /// Starts it and waits for the line that says it is ready. What it writes to stderr is read with the rest.
    #[track_caller]
    pub fn start(program: &str, args: &[&str], is_ready: impl Fn(&str) -> bool) -> Self {
        let path = find(program).unwrap_or_else(|| panic!("no {program}"));
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec timeout -k 5 "$@" 2>&1"#, "sh", LIFE]).arg(path).args(args);
        let mut running = Running::spawn(&mut command).expect("it starts");
        running.wait_for(is_ready);
        Self(Some(running))
    }

    /// Waits for a line it says.
    #[track_caller]
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        self.running().wait_for(wanted)
    }

    /// The program itself.
    pub fn running(&mut self) -> &mut Running {
        self.0.as_mut().expect("it runs")
    }

    /// Asks it to end (SIGTERM) and waits for that; what it said.
    pub fn stop(&mut self) -> Vec<String> {
        let Some(running) = self.0.take() else { return Vec::new() };
        // `timeout` passes the signal on.
        let _ = Command::new("kill").arg("-TERM").arg(running.id().to_string()).status();
        running.finish(END).stdout
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// nginx: terminates TLS with a certificate of its own CA, before a server without.
pub struct Nginx {
    directory: Directory,
    port: Port,
    upstream: String,
    daemon: Option<Daemon>,
}

impl Nginx {
    /// Starts it before the server that `upstream` describes. `main` goes to the top of its configuration, `server` into
    /// the server, `location` into the location that leads on; `listen` goes behind the port.
    pub fn start(upstream: &Env, extra: Extra) -> Self {
        let (directory, port) = (Directory::with_certificates("nginx"), Port::claim());
        let upstream = upstream.value("GWA_WS_URL").trim_start_matches("ws://").trim_end_matches("/ws").to_owned();
        let mut nginx = Self { directory, port, upstream, daemon: None };
        nginx.configure(extra);
        nginx.up();
        nginx
    }

    /// Where it is, for a client of the server behind it.
    pub fn env(&self, upstream: &Env) -> Env {
        let port = self.port.number;
        let changed = [
            ("GWA_TOKEN_URL", format!("https://localhost:{port}/oauth/token")),
            ("GWA_WS_URL", format!("wss://localhost:{port}/ws")),
            ("GWA_CA_FILE", self.directory.file("ca.pem").display().to_string()),
        ];
        let mut env = upstream.clone();
        env.0.retain(|(name, _)| changed.iter().all(|(changed, _)| name != changed));
        env.0.extend(changed.map(|(name, value)| (name.to_owned(), value)));
        env
    }

    /// Writes another configuration: [`Nginx::reload`] makes it use that.
    pub fn configure(&self, extra: Extra) {
        let Extra { main, listen, server, location } = extra;
        let (port, upstream, directory) = (self.port.number, &self.upstream, self.directory.path().display());
        let text = format!(
            "user root; daemon off; worker_processes 1; pid {directory}/pid; error_log stderr notice; {main}
            events {{ worker_connections 64; }}
            http {{
                access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
                fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
                map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
                server {{
                    listen 127.0.0.1:{port} ssl {listen};
                    ssl_certificate {directory}/leaf.pem; ssl_certificate_key {directory}/leaf.key;
                    {server}
                    location / {{
                        proxy_pass http://{upstream}; proxy_http_version 1.1;
                        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
                        {location}
                    }}
                }}
            }}\n"
        );
        self.directory.write("nginx.conf", &text);
    }

    /// Starts it again, on the same port.
    #[track_caller]
    pub fn up(&mut self) {
        let (prefix, file) = (self.directory.path().display().to_string(), self.directory.file("nginx.conf"));
        let args = ["-p", &prefix, "-e", "stderr", "-c", &file.display().to_string()];
        self.daemon = Some(Daemon::start("nginx", &args, |line| line.contains("start worker process ")));
    }

    /// Ends it at once, with every connection.
    pub fn down(&mut self) {
        self.daemon = None;
    }

    /// `nginx -s reload`: a new worker takes new connections, the old one keeps those it has. Returns when both know.
    #[track_caller]
    pub fn reload(&mut self) {
        let (prefix, file) = (self.directory.path(), self.directory.file("nginx.conf"));
        let mut command = Command::new(find("nginx").expect("nginx"));
        command.arg("-p").arg(prefix).args(["-e", "stderr", "-s", "reload", "-c"]).arg(file);
        assert!(command.output().is_ok_and(|output| output.status.success()), "nginx takes the signal");
        let daemon = self.daemon.as_mut().expect("it runs");
        daemon.wait_for(|line| line.contains("start worker process "));
        daemon.wait_for(|line| line.contains("gracefully shutting down"));
    }
}

/// What is added to nginx's configuration, and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// At the top.
    pub main: &'static str,
    /// Behind the port and `ssl`.
    pub listen: &'static str,
    /// In the server.
    pub server: &'static str,
    /// In the location that leads on.
    pub location: &'static str,
}
