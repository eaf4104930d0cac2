//! Compares the page of 500 meters with a year of history with the page of ten: what a request
//! costs, how large its answer is, and whether the work ends when the visitor leaves.
//!
//! Two programs run. Each has its own meters, on lines of 1200 baud, and its own database. A
//! database contains a summary of each day of a year, a summary of each hour of 30 days, and a
//! reading for every five minutes of a day. Only the programs are measured.
//!
//! Fails if an answer is incomplete, or if the program continues to work for a visitor who has
//! left. `docs/benchmarks.md` explains the results.

#![expect(clippy::disallowed_methods, reason = "the database ends now")]

#[path = "../examples/embedded/mod.rs"]
mod embedded;
#[path = "common/paged.rs"]
mod paged;
#[expect(dead_code, reason = "it does not watch the schedule")]
#[path = "common/program.rs"]
mod program;
#[path = "common/ratio.rs"]
mod ratio;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use history::{History, MeterKey, Sample};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use rust_decimal::Decimal;
use simulator::{EnergyUnit, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use self::paged::Paged;
use self::ratio::ratio;

const MANY: u16 = 500;
const FEW: u16 = 10;
/// Long enough that no poll falls into a measurement after the first one of each meter.
const INTERVAL: &str = "30m";
/// How long the first poll of each meter may take.
const STARTING: Duration = Duration::from_secs(120);
/// The page is limited to 10 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// A visitor leaves after this time, and the program is watched for that long.
const STAY: Duration = Duration::from_millis(30);
const WATCHED: Duration = Duration::from_secs(5);
/// The work after the visitor has left: one step, and what the program does anyway.
const REST: Duration = Duration::from_millis(250);

/// Each is drawn, except the last two.
const VALUES: [(&str, &str, bool); 7] = [
    ("energy", "kWh", true),
    ("power", "W", false),
    ("flow", "m³/h", false),
    ("temp1", "°C", false),
    ("temp2", "°C", false),
    ("volume", "m³", true),
    ("tempdiff", "K", false),
];
const PATHS: [&str; 7] = [
    "/",
    "/part?range=7d",
    "/part?range=30d",
    "/part?range=12m",
    "/api/v1/state",
    "/metrics",
    "/api/v1/history?meter=3&parameter=power&step=hour&from=2020-01-01T00:00:00Z",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    embedded::start(broker).await?;
    let mut serving = JoinSet::new();
    let mut out = io::stdout().lock();
    let few = Program::start("few", FEW, broker, &mut serving).await?;
    let many = Program::start("many", MANY, broker, &mut serving).await?;
    let mut failed = false;
    writeln!(out, "\n{MANY} meters, with {FEW} meters in parentheses, and the ratio")?;
    for path in PATHS {
        let [own, other] = [many.ask(path).await?, few.ask(path).await?];
        let times = ratio(own.processor.as_micros(), other.processor.as_micros().max(10_000), 1)?;
        writeln!(
            out,
            "  {path}: {} B ({} B), processor time {:?} ({:?}), {times}; {:?} ({:?})",
            own.size, other.size, own.processor, other.processor, own.took, other.took
        )?;
        if !own.is_whole || !other.is_whole {
            failed = true;
            writeln!(out, "    FAILED: the answer is not whole")?;
        }
    }
    for path in PATHS {
        let worked = many.leave(path).await?;
        writeln!(out, "  {path}: processor time after a visitor has left {worked:?}")?;
        if worked > REST {
            failed = true;
            writeln!(out, "    FAILED: it works on")?;
        }
    }
    for (name, program) in [("many", &many), ("few", &few)] {
        let [now, most] = [program.memory("VmRSS")?, program.memory("VmHWM")?];
        writeln!(out, "  memory of {name}: {now} KiB, at most {most} KiB")?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What a request costs.
struct Cost {
    size: usize,
    is_whole: bool,
    processor: Duration,
    took: Duration,
}

/// The running program.
struct Program {
    paged: Paged,
}

impl Program {
    async fn start(
        name: &str,
        count: u16,
        broker: SocketAddr,
        serving: &mut JoinSet<io::Result<()>>,
    ) -> anyhow::Result<Self> {
        let (_, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
        let mut meters = String::new();
        for number in 1..=count {
            let [high, low] = number.to_be_bytes();
            let net = if count == MANY { 1 } else { 2 };
            let listener = TcpListener::bind((Ipv4Addr::new(127, net, high, low), 0)).await?;
            let (at, _) = program::serve(listener, registers.clone(), serving)?;
            writeln!(meters, "  - {{ name: m{number}, com_port: 'socket://{at}' }}")?;
        }
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        fill(&folder.path().join("history.db"), count)?;
        let parameters = VALUES.map(|(name, ..)| name).join(",");
        let yaml = format!(
            "mqtt: {{ host: 127.0.0.1, port: {}, client: {name}, topic: {name} }}\n\
             homeassistant: {{ id_prefix: {name} }}\n\
             web: {{ listen: '127.0.0.1:0' }}\n\
             kamstrup: {{ poll_interval: {INTERVAL}, parameters: '{parameters}' }}\n\
             meters:\n{meters}",
            broker.port(),
        );
        let (paged, _log) = Paged::start(&yaml, folder).await?;
        let program = Self { paged };
        let all_read = async {
            loop {
                let metrics = program.request("/metrics").await?;
                let read = metrics.matches("kamstrup2mqtt_meter_answering{").count();
                if read == usize::from(count) {
                    return anyhow::Ok(());
                }
                sleep(Duration::from_secs(1)).await;
            }
        };
        timeout(STARTING, all_read).await.context("each meter is read")??;
        Ok(program)
    }

    async fn request(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.paged.page).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        // A connection that was cut may end with an error.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await?;
        Ok(String::from_utf8(answer)?)
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Cost> {
        let (before, begun) = (self.processor_time()?, Instant::now());
        let answer = self.request(path).await?;
        let took = begun.elapsed();
        let processor = self.processor_time()?.saturating_sub(before);
        let is_whole = answer.starts_with("HTTP/1.1 200 ");
        Ok(Cost { size: answer.len(), is_whole, processor, took })
    }

    /// Requests and leaves. Returns the processor time that the program uses from then on.
    async fn leave(&self, path: &str) -> anyhow::Result<Duration> {
        // The results of the last request are no longer fresh.
        sleep(Duration::from_secs(11)).await;
        let mut stream = TcpStream::connect(self.paged.page).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await?;
        sleep(STAY).await;
        drop(stream);
        let before = self.processor_time()?;
        sleep(WATCHED).await;
        Ok(self.processor_time()?.saturating_sub(before))
    }

    fn processor_time(&self) -> anyhow::Result<Duration> {
        self.paged.processor_time()
    }

    fn memory(&self, figure: &str) -> anyhow::Result<u64> {
        self.paged.memory(figure)
    }
}

/// Creates a database of these meters. The program's own thread makes the tables and the series,
/// and `SQLite` the rows, because that is faster.
fn fill(file: &Path, count: u16) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let history = History::start(Some(file.to_owned()), &now.to_zoned_datetime(TimeZone::UTC));
    let reader = history.reader();
    let values = VALUES.map(|(name, unit, is_counter)| Sample {
        parameter: name.to_owned(),
        value: Decimal::ONE,
        unit: Some(unit.to_owned()),
        is_counter,
    });
    for number in 1..=count {
        let meter = MeterKey::new(&format!("m{number}"), None);
        history.note(&meter, now, &values);
        // The queue of the history is short.
        while number % 50 == 0 && reader.snapshot()?.series(&meter)?.is_empty() {
            std::thread::yield_now();
        }
    }
    history.close();
    let database = Connection::open(file)?;
    let now = now.as_millisecond();
    let series: i64 = database.query_one("SELECT count(*) FROM series", [], |row| row.get(0))?;
    ensure!(series == i64::from(count) * 7, "the series of each meter");
    for (table, step, rows) in [("day", 86_400_000, 366), ("hour", 3_600_000, 30 * 24)] {
        database.execute_batch(&format!(
            "INSERT OR REPLACE INTO {table}
             WITH RECURSIVE n(i) AS (SELECT {rows} UNION ALL SELECT i - 1 FROM n WHERE i > 1)
             SELECT start, id, start + {step} - 60000, value, value, value, value, 1 FROM (
                 SELECT ({now} / {step} - i) * {step} AS start, id, 10000 - i AS value
                 FROM n CROSS JOIN series)"
        ))?;
    }
    database.execute_batch(&format!(
        "INSERT OR REPLACE INTO reading
         WITH RECURSIVE n(i) AS (SELECT 288 UNION ALL SELECT i - 1 FROM n WHERE i > 0)
         SELECT {now} - i * 300000 + meter * 7 - 60000, id, 20000 - i FROM n CROSS JOIN series"
    ))?;
    Ok(())
}
