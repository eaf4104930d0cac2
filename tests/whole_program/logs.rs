//! The log's destinations, with the whole program: a broken or slow destination never delays a
//! poll.

use std::fs::Permissions;
use std::io::{PipeReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use syslog_loose::{Protocol, SyslogFacility, Variant, parse_message};
use tempfile::TempDir;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::broker::{Broker, own_port};
use crate::program::{Program, binary};
use crate::subscriber::Subscriber;
use crate::{Meter, config, example_meter, patiently, sample};

/// A short configuration with this section `logging`.
fn logging_to(broker: &Broker, meter: &Meter, logging: &str) -> String {
    format!("{}logging: {{ {logging} }}\n", config(broker, &meter.com_port, "energy"))
}

/// Receives what is sent to a socket of the system's log, until the program has stopped.
fn log_at(path: &Path) -> JoinHandle<Vec<String>> {
    let socket = UnixDatagram::bind(path).unwrap();
    tokio::spawn(async move {
        let mut lines = Vec::new();
        let mut buffer = [0; 9000];
        while lines.last().is_none_or(|line: &String| !line.ends_with(" Stopped.")) {
            let length = socket.recv(&mut buffer).await.unwrap();
            lines.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        lines
    })
}

#[tokio::test]
async fn no_destination_gets_a_secret() {
    const SECRETS: [&str; 3] = ["hunter2-secret", "key-secret", "url-secret"];
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    let (socket_path, directory) = (folder.path().join("log"), folder.path().join("logs"));
    let syslog = log_at(&socket_path);
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let logging = format!(
        "level: DEBUG, destinations: [stdout, file, syslog], stdout_format: json, directory: '{}', \
         file_format: '%(message)s', syslog_address: '{}', syslog_facility: daemon",
        directory.display(),
        socket_path.display()
    );
    let yaml = logging_to(&broker, &meter, &logging).replace(
        "mqtt: {",
        &format!(
            "mqtt: {{ authentication: true, username: somebody, password: {}, tls_key_password: {},",
            SECRETS[0], SECRETS[1]
        ),
    );
    // Unknown keys with something that looks like a secret.
    let yaml = format!("{yaml}url: mqtt://somebody:{}@host\n", SECRETS[2]);
    let mut program = Program::start(&yaml);
    subscriber.expect("kamstrup/energy", "81947").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    program.says("Stopped.").await;

    let stdout = program.log();
    let file = std::fs::read_to_string(directory.join("kamstrup2mqtt.log")).unwrap();
    let syslog = patiently("all lines", syslog).await.unwrap();
    // Each destination has everything: frames, MQTT, the end.
    let mut messages = Vec::new();
    for line in &stdout {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["name"].as_str().unwrap().starts_with("kamstrup2mqtt"), "{line}");
        messages.push(line["message"].as_str().unwrap().to_owned());
    }
    assert_eq!(file.lines().collect::<Vec<_>>(), messages);
    for (line, message) in syslog.iter().zip(&messages) {
        let parsed = parse_message(line, Variant::RFC5424);
        assert_eq!(parsed.protocol, Protocol::RFC5424(1), "{line}");
        assert_eq!(parsed.facility, Some(SyslogFacility::LOG_DAEMON), "{line}");
        assert_eq!(parsed.appname, Some("kamstrup2mqtt"));
        assert_eq!(parsed.msg, message);
    }
    assert_eq!(syslog.len(), messages.len());
    for needed in ["to the meter: 80 ", "from the meter: 40 ", "To the broker: ", "Stopped."] {
        assert!(file.contains(needed), "{needed}: {file}");
    }
    let all = [stdout.join("\n"), file, syslog.join("\n")].concat();
    for secret in SECRETS {
        assert!(!all.contains(secret), "{all}");
    }
}

#[tokio::test]
async fn the_sample_logs_as_the_older_program_did() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let logs = TempDir::new().unwrap();
    let directory = format!("  directory: '{}'\n", logs.path().display());
    let yaml =
        sample(&broker, &meter.com_port).replace("logging:\n", &format!("logging:\n{directory}"));
    let mut program = Program::start(&yaml);
    let line = program.says("Read 5 of 5 values").await;
    // `2026-11-24T10:00:00+0100 [kamstrup2mqtt.poll.journal] INFO Read 5 of 5 values in 0.1 s.`
    let (time, rest) = line.split_once(' ').unwrap();
    jiff::ZonedDateTime::strptime("%Y-%m-%dT%H:%M:%S%z", time).unwrap();
    assert!(rest.starts_with("[kamstrup2mqtt.poll.journal] INFO Read 5 of 5"), "{line}");
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    let file = std::fs::read_to_string(logs.path().join("kamstrup2mqtt.log")).unwrap();
    let line = file.lines().find(|line| line.contains("Read 5 of 5")).unwrap();
    // `[2026-11-24 10:00:00 journal.rs journal:78] INFO Read 5 of 5 values in 0.1 s.`
    let (place, rest) = line.split_once("] ").unwrap();
    jiff::civil::DateTime::strptime("[%Y-%m-%d %H:%M:%S", &place[..20]).unwrap();
    assert!(place[20..].starts_with(" journal.rs journal:"), "{line}");
    assert!(rest.starts_with("INFO Read 5 of 5"), "{line}");
    // The output of a process may be read after its end.
    program.says("Stopped.").await;
    assert_eq!(file.lines().count(), program.log().len(), "both have all lines");
}

#[tokio::test]
async fn times_are_in_the_local_zone() {
    for (zone, offset) in [("America/Caracas", "-04:00"), ("Asia/Kathmandu", "+05:45")] {
        let variables = [("TZ", zone), ("SERIAL_COM_PORT", "/dev/null"), ("MQTT_PORT", "9")];
        let mut program = Program::start_with(&[], &variables);
        let line = program.says("Using the configuration in environment variables").await;
        assert_eq!(&line[19..25], offset, "{line}");
        program.kill().await;
    }
}

/// A full pipe that nobody reads.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let size = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    writer.write_all(&vec![b'x'; size]).unwrap();
    (reader, writer.into())
}

#[tokio::test]
async fn unread_standard_output_delays_no_poll() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("meter.yaml");
    let logging = format!(
        "level: DEBUG, destinations: [stdout, file], directory: '{}'",
        folder.path().display()
    );
    std::fs::write(&file, logging_to(&broker, &meter, &logging)).unwrap();
    let (mut reader, full) = full_pipe();
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let mut process = Command::new(binary())
        .arg("--config")
        .arg(&file)
        .env("WEB_ENABLED", "no")
        .stdout(full)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    subscriber.expect_times("kamstrup/energy", "81947", 3).await;
    let asked = tokio::time::Instant::now();
    let pid = process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let status = patiently("the program ends", process.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    subscriber.expect("kamstrup/status", "offline").await;
    // The file has every line.
    let log = std::fs::read_to_string(folder.path().join("kamstrup2mqtt.log")).unwrap();
    assert!(log.matches("Read 1 of 1 value").count() >= 3 && log.ends_with("Stopped.\n"), "{log}");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.trim_start_matches('x'), "", "the pipe was full all the time");
}

/// The folder in which a service starts is rarely one that it may write to.
#[tokio::test]
async fn a_service_logs_to_the_folder_that_is_provided_for_it() {
    let yaml = |directory: &str| {
        format!(
            "serial_device: {{ com_port: /dev/no-such-port }}\n\
             logging: {{ destinations: [stdout, file]{directory} }}\n"
        )
    };
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let provided =
        [("LOGS_DIRECTORY", folder.path().to_str().unwrap()), ("WEB_LISTEN", "127.0.0.1:0")];
    let mut program = Program::start_service(Some((&yaml(""), 0o644)), &provided);
    program.says("Cannot open /dev/no-such-port").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    let log = std::fs::read_to_string(folder.path().join("kamstrup2mqtt.log")).unwrap();
    assert!(log.contains("Cannot open /dev/no-such-port"), "{log}");
    assert_eq!(program.count("cannot be written"), 0, "{:#?}", program.log());

    // Of a folder of its own choice it says what fits a service.
    let mut program =
        Program::start_service(Some((&yaml(", directory: /proc/logs"), 0o644)), &provided);
    let said = program.says("The log file /proc/logs/kamstrup2mqtt.log cannot be").await;
    assert!(said.contains("`directory`"), "{said}");
    let mut program = Program::start_service(Some((&yaml(", directory: /logs"), 0o644)), &provided);
    let said = program.says("The log file /logs/kamstrup2mqtt.log cannot be written").await;
    assert!(said.contains("Remove `directory` from the section `logging`"), "{said}");
}

#[tokio::test]
async fn an_unwritable_folder_is_logged_and_retried() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    // A file has the path of the folder.
    let directory = folder.path().join("deep/logs");
    std::fs::write(folder.path().join("deep"), "").unwrap();
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let logging = format!("destinations: file, directory: '{}'", directory.display());
    let mut program = Program::start(&logging_to(&broker, &meter, &logging));
    let told = program.says("cannot be written").await;
    let told = told[26..].replace(directory.to_str().unwrap(), "LOGS");
    assert_eq!(
        told,
        "ERROR The log file LOGS/kamstrup2mqtt.log cannot be written: a part of the path LOGS is a \
         file, not a directory. Check `directory` and `filename` in the section `logging`. Retrying \
         until it works; this is logged only once."
    );
    subscriber.expect_times("kamstrup/energy", "81947", 2).await;
    std::fs::remove_file(folder.path().join("deep")).unwrap();
    program.says("can be written now").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert_eq!(program.log().len(), 2, "nothing else goes there: {:#?}", program.log());
    let log = std::fs::read_to_string(directory.join("kamstrup2mqtt.log")).unwrap();
    let first = log.lines().next().unwrap();
    assert!(first.contains("INFO Using the configuration config.yaml."), "nothing is lost: {log}");
    assert!(log.ends_with("INFO Stopped.\n"), "{log}");
}

#[tokio::test]
async fn a_log_server_that_was_down_is_logged_once_and_gets_every_line() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, own_port().await));
    let mut subscriber = Subscriber::connect(broker.port()).await;
    let logging = format!("destinations: [stdout, syslog], syslog_address: '{address}'");
    let mut program = Program::start(&logging_to(&broker, &meter, &logging));
    let told = program.says("cannot be reached").await;
    let begin =
        format!("ERROR The log server udp://{address} cannot be reached: Connection refused");
    assert!(told[26..].starts_with(&begin), "{told}");
    subscriber.expect_times("kamstrup/energy", "81947", 3).await;
    assert_eq!(program.count("cannot be reached"), 1);
    let server = UdpSocket::bind(address).await.unwrap();
    program.says("accepts lines now").await;
    let mut lines = Vec::new();
    let mut buffer = [0; 2048];
    while lines.last().is_none_or(|line: &String| !line.ends_with("accepts lines now.")) {
        let length = patiently("a line", server.recv(&mut buffer)).await.unwrap();
        lines.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    assert!(lines[0].ends_with(" - - Using the configuration config.yaml."), "{lines:#?}");
    for needed in ["Connected to the broker", "Read 1 of 1 value"] {
        assert!(lines.iter().any(|line| line.contains(needed)), "{needed}: {lines:#?}");
    }

    // The server stops again, for good. The program does not wait for it at the end, and counts the
    // missing lines.
    drop(server);
    // Each command that does not exist is one line. The system reports a refused datagram with the
    // next one.
    for number in 0..3 {
        let topic = format!("kamstrup/command/{number}");
        subscriber.publish(&topic, "", false).await;
        program.says(&format!("Ignored a message on `{topic}`")).await;
    }
    program.says_times("cannot be reached", 2).await;
    let asked = tokio::time::Instant::now();
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    program.says("lines of the log could not be written to the log server.").await;
}

/// A socket that nobody reads any longer: writing to it hangs.
#[tokio::test]
async fn lines_that_a_log_server_does_not_accept_are_counted_at_the_end() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    let _server = UnixDatagram::bind(&path).unwrap();
    let other = std::os::unix::net::UnixDatagram::unbound().unwrap();
    other.connect(&path).unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send(b"full").is_ok() {}
    let logging = format!("destinations: [stdout, syslog], syslog_address: '{}'", path.display());
    let mut program = Program::start(&logging_to(&broker, &meter, &logging));
    program.says("Read 1 of 1 value").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    program.says(" lines of the log could not be written to the log server").await;
    program.says("Stopped.").await;
}

#[tokio::test]
async fn a_reload_opens_the_file_again_and_changes_destinations() {
    let broker = Broker::start().await;
    let meter = example_meter().await;
    let folder = TempDir::new().unwrap();
    let (log, moved) = (folder.path().join("kamstrup2mqtt.log"), folder.path().join("moved"));
    let syslog_path = folder.path().join("socket");
    let syslog = log_at(&syslog_path);
    let directory = format!("directory: '{}'", folder.path().display());
    let to_file = format!("destinations: [stdout, file], {directory}");
    let mut program = Program::start(&logging_to(&broker, &meter, &to_file));
    program.says("Read 1 of 1 value").await;

    // As logrotate does it.
    std::fs::rename(&log, &moved).unwrap();
    program.reload(&logging_to(&broker, &meter, &to_file)).await;
    program.says("Reloaded the configuration: nothing has changed.").await;
    // Now the log goes to syslog instead, and in more detail.
    let to_syslog = format!(
        "level: DEBUG, destinations: [stdout, syslog], syslog_address: '{}'",
        syslog_path.display()
    );
    program.reload(&logging_to(&broker, &meter, &to_syslog)).await;
    program.says("Reloaded the configuration. Changed: ").await;
    program.says("from the meter: ").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));

    let (moved, log) = [moved, log].map(|path| std::fs::read_to_string(path).unwrap()).into();
    assert!(moved.contains("Read 1 of 1 value") && !moved.contains("read again"), "{moved}");
    assert!(log.contains("nothing has changed.\n") && !log.contains("Changed: "), "{log}");
    let syslog = patiently("all lines", syslog).await.unwrap();
    assert!(syslog[0].contains("Reloaded the configuration. Changed: "), "{syslog:#?}");
    assert!(syslog.iter().any(|line| line.contains("from the meter: 40 ")), "{syslog:#?}");
}
