//! The log is sent to a real rsyslog, which is killed and started again during the run.
//!
//! `cargo test` ignores these tests. `.ci/run` installs rsyslog and runs them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::broker::{Broker, own_port};
use crate::program::Program;
use crate::subscriber::Subscriber;
use crate::{config, example_meter, patiently};

struct Rsyslog {
    folder: TempDir,
    /// For UDP and TCP.
    port: u16,
    process: Child,
}

impl Rsyslog {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let port = own_port().await;
        let path = folder.path().display();
        let settings = format!(
            "global(workDirectory=\"{path}\")\n\
             module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             module(load=\"imudp\")\n\
             module(load=\"imtcp\")\n\
             input(type=\"imuxsock\" Socket=\"{path}/log\" UseSpecialParser=\"off\" \
             ParseHostname=\"on\")\n\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             template(name=\"parts\" type=\"string\" string=\"%inputname%|%protocol-version%|\
             %syslogfacility-text%|%syslogseverity-text%|%hostname%|%app-name%|%procid%|%msgid%|\
             %structured-data%|%timereported:::date-rfc3339%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{path}/received\" template=\"parts\")\n"
        );
        std::fs::write(folder.path().join("rsyslog.conf"), settings).unwrap();
        let process = launch(folder.path(), port).await;
        Self { folder, port, process }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The received lines, in parts.
    fn received(&self) -> Vec<Vec<String>> {
        let received = std::fs::read_to_string(self.folder.path().join("received"));
        let parts = |line: &str| line.splitn(11, '|').map(str::to_owned).collect();
        received.unwrap_or_default().lines().map(parts).collect()
    }

    async fn says_times(&self, text: &str, times: usize) {
        let count = || self.received().iter().filter(|parts| parts[10].contains(text)).count();
        let arrives = async {
            while count() < times {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        patiently(text, arrives).await;
    }

    /// As `kill -9` does.
    async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    async fn restart(&mut self) {
        self.process = launch(self.folder.path(), self.port).await;
    }
}

async fn launch(folder: &Path, port: u16) -> Child {
    let process = Command::new("rsyslogd")
        .arg("-n")
        .arg("-f")
        .arg(folder.join("rsyslog.conf"))
        .arg("-i")
        .arg(folder.join("pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut process = process.unwrap_or_else(|error| {
        panic!("rsyslogd cannot be run: {error}; `apt-get install rsyslog` brings it")
    });
    let listening = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(process.try_wait().unwrap().is_none(), "rsyslogd has ended");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    patiently("rsyslogd listens", listening).await;
    process
}

/// Compares the lines of a run in which rsyslog is restarted with those in a file.
async fn rsyslog_gets_all(address: impl Fn(&Rsyslog) -> String, input: &str) {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let mut rsyslog = Rsyslog::start().await;
    let logs = TempDir::new().unwrap();
    let logging = format!(
        "logging: {{ destinations: [stdout, file, syslog], directory: '{}', \
         file_format: '%(levelname)s|%(process)d|%(message)s', syslog_facility: local3, \
         syslog_address: '{}' }}\n",
        logs.path().display(),
        address(&rsyslog)
    );
    let yaml = config(&broker, &meter.com_port, "energy,temp1") + &logging;
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut program = Program::start(&yaml);
    subscriber.expect("kamstrup/energy", "81947").await;
    // Each command that does not exist is one line.
    let log_lines = async |program: &mut Program, numbers: Range<u8>| {
        for number in numbers {
            let topic = format!("kamstrup/command/{number}");
            subscriber.publish(&topic, "", false).await;
            program.says(&format!("Ignored a message on `{topic}`")).await;
        }
    };
    log_lines(&mut program, 0..2).await;
    // rsyslog may lose lines that it has received but not yet written.
    rsyslog.says_times("Ignored a message", 2).await;

    rsyslog.kill().await;
    log_lines(&mut program, 2..4).await;
    program.says("cannot be reached").await;
    log_lines(&mut program, 4..6).await;
    rsyslog.restart().await;
    program.says("accepts lines now").await;
    log_lines(&mut program, 6..8).await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    rsyslog.says_times("Stopped.", 1).await;

    let received = rsyslog.received();
    for parts in &received {
        assert_eq!([&parts[0], &parts[1], &parts[2]], [input, "1", "local3"], "{parts:?}");
        let [host, app, message_id, data] = [4, 5, 7, 8].map(|at: usize| parts[at].as_str());
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!([host, app, message_id, data], [name.trim(), "kamstrup2mqtt", "-", "-"]);
        parts[9].parse::<jiff::Timestamp>().unwrap();
    }
    let severity = |level: &str| match level {
        "INFO" => "info",
        "WARNING" => "warning",
        _ => "err",
    };
    let file = std::fs::read_to_string(logs.path().join("kamstrup2mqtt.log")).unwrap();
    let written: Vec<_> = file
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, '|');
            let (level, process) = (parts.next().unwrap(), parts.next().unwrap());
            format!("{}|{process}|{}", severity(level), parts.next().unwrap())
        })
        .collect();
    let mut count: HashMap<&str, i64> = HashMap::new();
    let got: Vec<_> = received.iter().map(|of| format!("{}|{}|{}", of[3], of[6], of[10])).collect();
    for line in &written {
        *count.entry(line).or_default() += 1;
    }
    for line in &got {
        *count.entry(line).or_default() -= 1;
    }
    let of = |wanted: fn(i64) -> bool| {
        let differing = count.iter().filter(move |(_, count)| wanted(**count));
        differing.map(|(line, count)| format!("{count} × {line}")).collect::<Vec<_>>()
    };
    let (missing, twice) = (of(|count| count > 0), of(|count| count < 0));
    assert_eq!(missing, [""; 0]);
    // Over UDP the last line is sent again, because it may have been the rejected one.
    assert!(twice.len() <= usize::from(input == "imudp"), "{twice:#?}");
}

#[tokio::test]
#[ignore = "needs rsyslogd: see .ci/run"]
async fn rsyslog_over_a_unix_socket() {
    rsyslog_gets_all(|rsyslog| rsyslog.socket().display().to_string(), "imuxsock").await;
}

#[tokio::test]
#[ignore = "needs rsyslogd: see .ci/run"]
async fn rsyslog_over_udp() {
    rsyslog_gets_all(|rsyslog| format!("127.0.0.1:{}", rsyslog.port), "imudp").await;
}

#[tokio::test]
#[ignore = "needs rsyslogd: see .ci/run"]
async fn rsyslog_over_tcp() {
    rsyslog_gets_all(|rsyslog| format!("tcp://127.0.0.1:{}", rsyslog.port), "imtcp").await;
}
