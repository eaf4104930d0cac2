//! Meters that share a port.

use super::*;

/// When polls began, in seconds since the start.
#[derive(Clone)]
pub(super) struct Clock {
    start: Instant,
    events: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), events: Arc::default() }
    }

    pub(super) fn note(&self, what: &'static str) {
        self.events.lock().unwrap().push((what, self.start.elapsed().as_secs()));
    }

    pub(super) fn of(&self, what: &str) -> Vec<u64> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(is, _)| *is == what).map(|(_, at)| *at).collect()
    }
}

/// A port that checks that no two of its meters have it open at the same time.
pub(super) struct Watched {
    name: &'static str,
    clock: Clock,
    open: Arc<AtomicUsize>,
    /// The meter behind the port; `None` for a silent one.
    meter: Option<Simulator>,
    /// How long opening hangs until it fails; zero if it succeeds.
    hangs: Duration,
}

struct WatchedStream {
    stream: DuplexStream,
    open: Arc<AtomicUsize>,
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Open for Watched {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        self.clock.note(self.name);
        if !self.hangs.is_zero() {
            tokio::time::sleep(self.hangs).await;
            return Err(OpenError::NoConnection);
        }
        assert_eq!(self.open.fetch_add(1, Ordering::Relaxed), 0, "{} is not alone", self.name);
        let (near, mut far) = duplex(1024);
        let meter = self.meter.clone();
        tokio::spawn(async move {
            match meter {
                Some(meter) => drop(meter.serve(far).await),
                None => drop(tokio::io::copy(&mut far, &mut tokio::io::sink()).await),
            }
        });
        Ok(Box::new(WatchedStream { stream: near, open: Arc::clone(&self.open) }))
    }
}

/// Meters on one port of a serial server.
pub(super) struct Server {
    host: &'static str,
    queues: PortQueues,
    clock: Clock,
    open: Arc<AtomicUsize>,
}

impl Server {
    pub(super) fn new(host: &'static str, queues: &PortQueues, clock: &Clock) -> Self {
        Self { host, queues: queues.clone(), clock: clock.clone(), open: Arc::default() }
    }

    pub(super) fn port(&self, name: &'static str, meter: Option<Behaviour>) -> Watched {
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let meter = meter.map(|how| Simulator::new(watch::channel(registers).1, how));
        let (clock, open) = (self.clock.clone(), Arc::clone(&self.open));
        Watched { name, clock, open, meter, hangs: Duration::ZERO }
    }

    pub(super) fn plan(&self, port: Watched, interval: u64) -> Plan<SharedPort<Watched>> {
        let endpoint = format!("socket://{}:2003", self.host).parse().unwrap();
        Plan {
            port_name: port.name.to_owned(),
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
}

/// Polls for some seconds. Returns the results by meter.
pub(super) async fn for_a_while<O: Open + 'static>(
    seconds: u64,
    plans: Vec<Plan<O>>,
) -> Vec<Vec<(u64, Box<PollResult>)>> {
    let (stop, start) = (CancellationToken::new(), Instant::now());
    let mut tasks = Vec::new();
    for plan in plans {
        let (sender, mut results) = mpsc::channel(1);
        tokio::spawn(run(plan, midnight(), sender, MeterHandle::default(), stop.clone()));
        tasks.push(tokio::spawn(async move {
            let mut received = Vec::new();
            while let Some(result) = results.recv().await {
                received.push((start.elapsed().as_secs(), result));
            }
            received
        }));
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.cancel();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

/// At 1200 baud.
pub(super) const SLOW: Behaviour =
    Behaviour { line: Some(Line::new(1200)), turnaround: Duration::from_millis(50), echo: false };

#[tokio::test(start_paused = true)]
async fn meters_on_one_port_take_turns_and_others_do_not_wait() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let (one, other) = (Server::new("one", &queues, &clock), Server::new("other", &queues, &clock));
    // A meter whose answers take 4 s, and two fast ones.
    let slow =
        Behaviour { line: Some(Line::new(300)), turnaround: Duration::from_secs(1), echo: false };
    let mut plan = one.plan(one.port("slow", Some(slow)), 20);
    plan.line = Line::new(300);
    let plans = vec![
        plan,
        one.plan(one.port("fast", Some(Behaviour::default())), 20),
        other.plan(other.port("other", Some(Behaviour::default())), 20),
    ];
    let received = for_a_while(199, plans).await;
    // Each on its own schedule, but the fast one after the slow one.
    assert_eq!(clock.of("slow"), (0..10).map(|schedule| schedule * 20).collect::<Vec<_>>());
    assert_eq!(clock.of("other"), clock.of("slow"));
    let late = clock.of("fast").into_iter().zip(clock.of("slow")).map(|(fast, slow)| fast - slow);
    assert!(late.clone().all(|late| (3..20).contains(&late)), "{:?}", clock.of("fast"));
    for meter in &received {
        assert_eq!(meter.len(), 10);
        assert!(meter.iter().all(|(_, result)| result.readings.len() == 7));
    }
    // Waiting is not part of the poll.
    assert!(received[1].iter().all(|(_, result)| result.took < Duration::from_secs(1)));
    assert!(received[0].iter().all(|(_, result)| result.took > Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn the_port_is_first_come_first_served() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let plans = ["a", "b", "c", "d"].map(|name| server.plan(server.port(name, Some(SLOW)), 2));
    // Four polls of 0.83 s do not fit into 2 s, so each meter gets the same share.
    let received = for_a_while(100, plans.into()).await;
    let counts: Vec<usize> = received.iter().map(Vec::len).collect();
    assert!(counts.iter().all(|count| (24..=31).contains(count)), "{counts:?}");
    let most = counts.iter().max().unwrap() - counts.iter().min().unwrap();
    assert!(most <= 1, "{counts:?}");
}

/// A meter on the same port never answers. The other loses no poll, but is late by the silent
/// meter's first poll, and sometimes by one short request.
#[tokio::test(start_paused = true)]
async fn a_silent_meter_delays_the_others_on_its_port_little() {
    for (interval, at_most) in [(60, 3), (5, 3)] {
        let (queues, clock) = (PortQueues::default(), Clock::new());
        let server = Server::new("server", &queues, &clock);
        let plans = vec![
            server.plan(server.port("silent", None), interval),
            server.plan(server.port("slow", Some(SLOW)), interval),
        ];
        let received = for_a_while(600, plans).await;
        assert!(received[0].iter().all(|(_, result)| result.readings.is_empty()));
        let beats = 600 / interval;
        let begun = clock.of("slow");
        // The first poll of the silent one takes 16 s.
        assert!(begun[0] <= 17, "{begun:?}");
        let lost = beats - u64::try_from(begun.len()).unwrap();
        assert!(lost <= 17 / interval, "{interval}: {lost}");
        let late = begun.iter().map(|at| at % interval).skip(1);
        assert!(late.clone().all(|late| late <= at_most), "{begun:?}");
        let silent = clock.of("silent");
        assert!(silent.windows(2).all(|pair| pair[1] - pair[0] >= 15), "{silent:?}");
        assert!(silent.windows(2).all(|pair| pair[1] - pair[0] <= 60), "{silent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_hangs_delays_no_other_server() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let (dead, alive) =
        (Server::new("dead", &queues, &clock), Server::new("alive", &queues, &clock));
    let hangs = Duration::from_secs(5);
    let plans = vec![
        dead.plan(Watched { hangs, ..dead.port("a", None) }, 10),
        dead.plan(Watched { hangs, ..dead.port("bb", None) }, 10),
        alive.plan(alive.port("alive", Some(Behaviour::default())), 10),
    ];
    let received = for_a_while(95, plans).await;
    assert_eq!(clock.of("alive"), (0..10).map(|schedule| schedule * 10).collect::<Vec<_>>());
    assert_eq!(received[2].len(), 10);
    // Not at the same time.
    assert_eq!((clock.of("a")[0], clock.of("bb")[0]), (0, 5));
    let trouble = received[1][0].1.trouble.as_ref().unwrap();
    assert!(trouble.words.contains("no answer from this address"), "{trouble:?}");
    assert_eq!(received[1][0].1.took, hangs);
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_waits_for_its_port_stops_at_once() {
    let (queues, clock) = (PortQueues::default(), Clock::new());
    let server = Server::new("server", &queues, &clock);
    let plan = server.plan(server.port("waiting", Some(SLOW)), 60);
    let turn = plan.port.acquire().await;
    let (sender, mut results) = mpsc::channel(1);
    let (handle, stop) = (MeterHandle::default(), CancellationToken::new());
    let task = tokio::spawn(run(plan, midnight(), sender, handle.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let asked = Instant::now();
    stop.cancel();
    task.await.unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(results.recv().await.is_none(), "nothing is reported");
    assert!(clock.of("waiting").is_empty());

    // It no longer blocks the queue. A poll that is requested while waiting is not made twice.
    let plan = server.plan(server.port("next", Some(SLOW)), 60);
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(plan, midnight(), sender, handle.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(20)).await;
    handle.request_poll();
    drop(turn);
    assert!(results.recv().await.unwrap().took < Duration::from_secs(10));
    let begun = clock.of("next");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(clock.of("next"), begun);
    stop.cancel();
    task.await.unwrap();
}
