//! Meters on several ports of one serial server.

use super::job::{Polling, all_of, recorder};
use super::sharing::{Clock, SLOW, for_a_while};
use super::*;

/// What a serial server does with a second connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    /// Each port has its own connection.
    IsServed,
    IsRefused,
    /// It is accepted, and closed immediately.
    IsClosed,
    /// It is served, and the first one is closed.
    Replaces,
    /// Its packets are dropped.
    IsIgnored,
}

/// A serial server that keeps a connection for some time after its client has closed it.
#[derive(Clone)]
struct SerialServer {
    second: Second,
    keeps: Duration,
    open: Arc<Mutex<Vec<(u16, CancellationToken)>>>,
    queues: PortQueues,
    clock: Clock,
    refused: Arc<AtomicUsize>,
}

/// What is behind a port.
#[derive(Clone, Copy)]
enum Behind {
    Meter(Behaviour),
    Silence,
    /// Another program uses the port.
    OtherProgram,
}

struct Socket {
    server: SerialServer,
    number: u16,
    name: &'static str,
    behind: Option<Simulator>,
    is_taken: bool,
}

/// A connection; `None` if the server has closed it immediately.
struct Connected {
    stream: Option<DuplexStream>,
    number: u16,
    server: SerialServer,
}

impl Drop for Connected {
    fn drop(&mut self) {
        if self.stream.is_some() {
            let (number, server) = (self.number, self.server.clone());
            tokio::spawn(async move {
                tokio::time::sleep(server.keeps).await;
                server.open.lock().unwrap().retain(|(open, _)| *open != number);
            });
        }
    }
}

impl AsyncRead for Connected {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            let error = OpenError::Unwanted { said: String::new() };
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)));
        };
        Pin::new(stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connected {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_write(context, bytes),
            None => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Open for Socket {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let server = &self.server;
        server.clock.note(self.name);
        // A connection takes a moment.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let is_busy = !server.open.lock().unwrap().is_empty();
        let number = self.number;
        if self.is_taken || (is_busy && server.second != Second::IsServed) {
            server.refused.fetch_add(1, Ordering::Relaxed);
            match server.second {
                Second::IsServed | Second::IsRefused => return Err(OpenError::Refused),
                Second::IsIgnored => {
                    // TCP tries again after a second, and after two more.
                    let is_free = || !self.is_taken && server.open.lock().unwrap().is_empty();
                    for seconds in [1, 2, 2] {
                        if !is_free() {
                            tokio::time::sleep(Duration::from_secs(seconds)).await;
                        }
                    }
                    if !is_free() {
                        return Err(OpenError::NoConnection);
                    }
                }
                Second::IsClosed => {
                    let server = server.clone();
                    return Ok(Box::new(Connected { stream: None, number, server }));
                }
                Second::Replaces => {
                    for (_, first) in server.open.lock().unwrap().drain(..) {
                        first.cancel();
                    }
                }
            }
        }
        let replaced = CancellationToken::new();
        {
            let open = &mut server.open.lock().unwrap();
            assert!(open.iter().all(|(open, _)| *open != number), "{} is not alone", self.name);
            open.push((number, replaced.clone()));
        }
        let (near, mut far) = duplex(1024);
        let meter = self.behind.clone();
        tokio::spawn(replaced.run_until_cancelled_owned(async move {
            match meter {
                Some(meter) => drop(meter.serve(far).await),
                None => drop(tokio::io::copy(&mut far, &mut tokio::io::sink()).await),
            }
        }));
        Ok(Box::new(Connected { stream: Some(near), number, server: server.clone() }))
    }
}

impl SerialServer {
    fn new(second: Second, keeps: u64) -> Self {
        Self {
            second,
            keeps: Duration::from_millis(keeps),
            open: Arc::default(),
            queues: PortQueues::default(),
            clock: Clock::new(),
            refused: Arc::default(),
        }
    }

    fn plan(
        &self,
        name: &'static str,
        number: u16,
        interval: u64,
        behind: Behind,
    ) -> Plan<SharedPort<Socket>> {
        let endpoint = format!("socket://server:{number}").parse().unwrap();
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let is_taken = matches!(behind, Behind::OtherProgram);
        let behind = match behind {
            Behind::Meter(how) => Some(Simulator::new(watch::channel(registers).1, how)),
            Behind::Silence | Behind::OtherProgram => None,
        };
        let port = Socket { server: self.clone(), number, name, behind, is_taken };
        Plan {
            port_name: format!("socket://server:{number}"),
            port: self.queues.share_at(endpoint, port),
            line: Line::new(1200),
            registers: ids("energy volume power flow temp1 temp2 tempdiff"),
            together: Vec::new(),
            optional: Vec::new(),
            version: Version::Generic,
            interval: Duration::from_secs(interval),
            slow_interval: None,
            runs_as: RunsAs::Program,
        }
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Three silent meters on other ports of the server cost this one 8 of 14 polls.
#[tokio::test(start_paused = true)]
async fn a_silent_meter_on_another_port_delays_nobody() {
    let server = SerialServer::new(Second::IsServed, 0);
    let plans = vec![
        server.plan("silent", 2001, 5, Behind::Silence),
        server.plan("silent", 2002, 5, Behind::Silence),
        server.plan("silent", 2003, 5, Behind::Silence),
        server.plan("good", 2004, 5, Behind::Meter(SLOW)),
    ];
    let received = for_a_while(69, plans).await;
    let at: Vec<u64> = (0..14).map(|poll| poll * 5).collect();
    assert_eq!(server.clock.of("good"), at);
    assert_eq!(received[3].len(), 14);
    assert!(received[3].iter().all(|(_, result)| result.readings.len() == 7));
}

/// A server that serves one connection at a time is recognized, and no poll is lost. It need not
/// notice the end of a connection immediately.
#[tokio::test(start_paused = true)]
async fn a_server_with_one_connection_is_shared() {
    for second in [Second::IsRefused, Second::IsClosed, Second::Replaces, Second::IsIgnored] {
        for keeps in [0, 200] {
            let server = SerialServer::new(second, keeps);
            let plans = vec![
                server.plan("a", 2001, 30, Behind::Meter(SLOW)),
                server.plan("b", 2002, 30, Behind::Meter(SLOW)),
                server.plan("c", 2003, 30, Behind::Meter(SLOW)),
            ];
            let (log, _logging) = logging::capture::lines();
            let received = for_a_while(3_000, plans).await;
            for meter in &received {
                let incomplete = meter.iter().filter(|(_, result)| result.readings.len() != 7);
                let why = incomplete.map(|(at, result)| (*at, result.trouble.clone()));
                assert_eq!(why.collect::<Vec<_>>(), [], "{second:?} {keeps}");
                assert_eq!(meter.len(), 100, "{second:?} {keeps}");
            }
            let said = log.take();
            let recognized = said.iter().filter(|line| line.contains("one after another"));
            // A connection that is only delayed is no refusal, so it is not always recognized.
            let (times, at_least) = (recognized.count(), usize::from(second != Second::IsIgnored));
            assert!((at_least..=1).contains(&times), "{second:?}: {times}");
            if keeps == 0 && second != Second::IsIgnored {
                assert!(server.refused() <= 3, "{second:?}: {}", server.refused());
            }
        }
    }
}

/// What is known of a server is found out again after an hour. Neither costs a poll.
#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_server_expires() {
    let server = SerialServer::new(Second::IsRefused, 0);
    let plans = vec![
        server.plan("silent", 2001, 60, Behind::Silence),
        server.plan("good", 2002, 60, Behind::Meter(SLOW)),
        server.plan("another", 2003, 60, Behind::Meter(SLOW)),
    ];
    let received = for_a_while(3 * 3_600, plans).await;
    assert!((3..=9).contains(&server.refused()), "{}", server.refused());
    for meter in &received[1..] {
        assert!(meter.iter().all(|(_, result)| result.readings.len() == 7));
        assert_eq!(meter.len(), 180);
    }
}

/// A port that another program uses is refused alone too. That is no reason to share the server.
#[tokio::test(start_paused = true)]
async fn a_port_that_is_always_refused_delays_the_others_once() {
    for second in [Second::IsServed, Second::IsClosed, Second::IsIgnored] {
        let mut server = SerialServer::new(second, 0);
        let taken = server.plan("taken", 2001, 30, Behind::OtherProgram);
        // The other ports are independent.
        server.second = Second::IsServed;
        let plans = vec![
            taken,
            server.plan("silent", 2002, 30, Behind::Silence),
            server.plan("good", 2003, 30, Behind::Meter(SLOW)),
        ];
        let (log, _logging) = logging::capture::lines();
        let received = for_a_while(900, plans).await;
        assert!(received[0].iter().all(|(_, result)| result.readings.is_empty()));
        assert!(received[0].len() > 20, "{second:?}: {}", received[0].len());
        let begun = server.clock.of("good");
        let late = begun.iter().filter(|at| *at % 30 > 0).count();
        assert!(late <= 1, "{second:?}: {begun:?}");
        assert!(begun.len() >= 29, "{second:?}: {begun:?}");
        let said = log.take();
        assert!(!said.iter().any(|line| line.contains("one after another")));
    }
}

/// A server that is off refuses everything, or does not answer.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_off_is_not_recognized_as_one_with_one_connection() {
    for second in [Second::IsRefused, Second::IsIgnored] {
        let server = SerialServer::new(second, 0);
        let plans = vec![
            server.plan("a", 2001, 30, Behind::OtherProgram),
            server.plan("b", 2002, 30, Behind::OtherProgram),
        ];
        let received = for_a_while(300, plans).await;
        for meter in &received {
            assert!(meter.len() >= 9, "{}", meter.len());
            let longest = meter.iter().map(|(_, result)| result.took).max().unwrap();
            assert!(longest < Duration::from_secs(6), "{longest:?}");
        }
    }
}

/// A poll that waits until it has the server for itself ends with the program.
#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_for_another_port_stops_at_once() {
    let server = SerialServer::new(Second::IsRefused, 0);
    let (sender, _results) = mpsc::channel(1);
    let first = server.plan("first", 2001, 300, Behind::Silence);
    let second = server.plan("second", 2002, 300, Behind::Meter(SLOW));
    let stop = CancellationToken::new();
    let handle = MeterHandle::default();
    tokio::spawn(run(first, midnight(), sender.clone(), MeterHandle::default(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let only = CancellationToken::new();
    let task = tokio::spawn(run(second, midnight(), sender, handle, only.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((server.clock.of("second").len(), server.refused()), (1, 1));
    let asked = Instant::now();
    only.cancel();
    task.await.unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO);
    stop.cancel();
}

/// A connection without a turn cannot wait for the others, and blocks nobody.
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_turn_is_only_refused() {
    let server = SerialServer::new(Second::IsRefused, 0);
    let plan = |number| server.plan("meter", number, 60, Behind::Silence).port;
    let (first, second) = (plan(2001), plan(2002));
    let _turn = first.acquire().await;
    let open = first.open().await;
    for _ in 0..2 {
        assert_eq!(second.open().await.err(), Some(OpenError::Refused));
    }
    drop(open);
    let third = plan(2003);
    let _turn = tokio::time::timeout(Duration::from_secs(1), third.acquire()).await.unwrap();
    assert!(second.open().await.is_ok());
}

/// A job was blamed on another program if another meter of this one used the server.
#[tokio::test(start_paused = true)]
async fn a_job_waits_for_the_other_meters_of_a_server_with_one_connection() {
    for second in [Second::IsRefused, Second::IsClosed, Second::Replaces] {
        for is_scan in [true, false] {
            let server = SerialServer::new(second, 0);
            let good = server.plan("good", 2001, 300, Behind::Meter(SLOW));
            let mut good = Polling::start(good);
            good.next().await;
            let silent = Polling::start(server.plan("silent", 2002, 300, Behind::Silence));
            tokio::time::sleep(Duration::from_secs(2)).await;
            let (steps, record) = recorder();
            let job = if is_scan {
                Job::scan((1..=300).map(RegisterId::new).collect(), record)
            } else {
                Job::placement(record)
            };
            good.handle.send(job).unwrap();
            tokio::time::sleep(Duration::from_secs(200)).await;
            let words: Vec<String> =
                steps.lock().unwrap().iter().map(|(_, words)| words.clone()).collect();
            assert_eq!(words.last().unwrap(), "ended", "{second:?}");
            let is_wrong = |words: &&String| words.contains("server") || words.contains("closed");
            let wrong: Vec<_> = words.iter().filter(is_wrong).collect();
            assert_eq!(wrong, [""; 0], "{second:?}");
            if is_scan {
                let scanned = &words[words.len() - 2];
                assert!(scanned.ends_with("found, true"), "{second:?} {words:?}");
            } else {
                assert!(all_of(&steps, "hit").len() >= 50, "{second:?} {words:?}");
            }
            good.ended().await;
            silent.ended().await;
        }
    }
}

/// A meter on a third port waited for the end of the job.
#[tokio::test(start_paused = true)]
async fn a_job_and_a_refused_port_block_no_other_port() {
    let server = SerialServer::new(Second::IsServed, 0);
    let mut placed = Polling::start(server.plan("placed", 2001, 300, Behind::Meter(SLOW)));
    let other = Polling::start(server.plan("other", 2002, 20, Behind::Meter(SLOW)));
    placed.next().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    placed.handle.send(Job::placement(|_| {})).unwrap();
    let taken = Polling::start(server.plan("taken", 2003, 300, Behind::OtherProgram));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let begun = server.clock.of("other");
    assert!(begun.len() >= 6, "{begun:?}");
    assert!(begun.windows(2).all(|pair| pair[1] - pair[0] <= 35), "{begun:?}");
    for polling in [placed, other, taken] {
        polling.ended().await;
    }
}

/// Nothing is known about the server if a connection was dropped before the server could close it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_not_used_shows_nothing() {
    for (lasts, is_known) in [(0, false), (4, false), (6, true)] {
        let server = SerialServer::new(Second::IsRefused, 0);
        let plan = |number| server.plan("meter", number, 60, Behind::Silence).port;
        let (first, second) = (plan(2001), plan(2002));
        let turn = first.acquire().await;
        let open = first.open().await.unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop((open, turn));
        });
        let _turn = second.acquire().await;
        let alone = second.open().await.unwrap();
        assert_eq!(server.refused(), 1);
        tokio::time::sleep(Duration::from_secs(lasts)).await;
        drop(alone);
        assert_eq!(second.is_shared(), is_known, "{lasts}");
    }
}
