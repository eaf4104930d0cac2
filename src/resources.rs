//! Checks that the machine has enough memory, files and threads.
//!
//! If one of these runs out, libraries may panic, which ends the program. tokio panics when a
//! blocking job needs a thread and none can be started, and when the pipe for signals cannot be
//! opened. Rust aborts when memory runs out. So all three are tried at the start. A shortage can
//! then still be reported as an error with an exit code. Threads that are needed later are also
//! started then, and they stay.
//!
//! # Blocking threads
//!
//! The runtime has [`THREADS`] of them, and all are started at the start. So no later job can fail
//! for lack of a thread. But a job may hang: a silent name server blocks a thread for half a
//! minute, and a broken disk blocks it forever. So each kind of job has its own threads, and waits
//! only for jobs of its kind:
//!
//! | jobs | threads | bounded by |
//! |---|---|---|
//! | look-ups of host names | [`hosts::AT_A_TIME`] | `hosts`: a permit each, one look-up per name |
//! | the MQTT client's own look-ups | 2 | one connection at a time, with a timeout of 20 s |
//! | readings for the page and for means | [`READINGS`] | `web::blocking`: a permit each |
//! | serial ports for the page | [`PORTS`] | `web::blocking`: a permit each |
//! | configuration, certificates, destinations of the log | 1 | one after the other |
//!
//! A permit is held until the job has ended, even if nobody waits for it any longer. The
//! destinations of the log and the history have other threads of their own.

use std::hint::black_box;
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meter::{RunsAs, hosts};
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};
use tracing::warn;

/// How many requests for readings are answered at a time.
pub(crate) const READINGS: usize = 2;

/// How many searches for serial ports run at a time.
pub(crate) const PORTS: usize = 1;

/// Blocking threads of the runtime.
pub const THREADS: usize = hosts::AT_A_TIME + 2 + READINGS + PORTS + 1;

/// The stack of a thread. Its jobs need a tenth of it. The default of 2 MiB would count against a
/// limit on memory without being used.
const STACK: usize = 1024 * 1024;

/// Memory that must be free at the start: the stacks of all threads, and what the program allocates
/// until it has published, stored and shown its first readings.
const MEMORY: usize = 32 * 1024 * 1024;

/// How many pairs of files must be free at the start: the runtime needs three.
const PAIRS: usize = 8;

/// How long the threads may take to start. They take milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the machine lacks.
#[derive(Debug, Error)]
pub(crate) enum Shortage {
    /// It has too little memory.
    #[error("cannot get {} MiB of memory", MEMORY / 1024 / 1024)]
    Memory,
    /// No more files can be opened.
    #[error("cannot open {} more files: {_0}", PAIRS * 2)]
    Files(io::Error),
    /// The runtime cannot open its own files.
    #[error("cannot start the runtime: {_0}")]
    Runtime(io::Error),
    /// A thread cannot be started.
    #[error("cannot start a thread: {_0}")]
    Threads(String),
}

impl Shortage {
    /// What happened, and what to do about it, without the last full stop.
    #[must_use]
    pub(crate) fn words(&self, runs_as: RunsAs) -> String {
        let hint = match (runs_as, self) {
            (RunsAs::AddOn, _) => RESTART,
            (RunsAs::Program, Self::Memory) => {
                "Raise the limit on memory (`ulimit -v`, or `LimitAS=` in the unit)"
            }
            (RunsAs::Program, Self::Files(_)) => {
                "Raise the limit on open files (`ulimit -n`, or `LimitNOFILE=` in the unit)"
            }
            (RunsAs::Program, Self::Threads(_)) => RAISE_THREADS,
            (RunsAs::Program, Self::Runtime(_)) => return self.to_string(),
        };
        format!("{self}. {hint}")
    }
}

pub(crate) const RAISE_THREADS: &str =
    "Raise the limit on processes (`ulimit -u`, or `TasksMax=` in the unit) or on memory";

/// For users of the app (add-on), who cannot change limits.
pub(crate) const RESTART: &str = "Restart the machine that runs Home Assistant. If it happens again, \
                                  report it with the app's log";

/// Starts the program again if a limit on memory counts reserved addresses (`ulimit -v`), this time
/// without those that glibc reserves: 64 MiB for almost every thread. They exhaust the limit, and
/// then a later thread cannot allocate a single byte. Only a variable at the start prevents that.
pub(crate) fn spare_addresses() {
    const VARIABLE: &str = "MALLOC_ARENA_MAX";

    let is_limited = || {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"));
        limit.is_some_and(|limit| !limit.trim_start().starts_with("unlimited"))
    };
    if cfg!(target_env = "gnu") && std::env::var_os(VARIABLE).is_none() && is_limited() {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        let mut again = Command::new("/proc/self/exe");
        // This returns only if it fails. Then the program continues as it is.
        let _ = again.arg0(name).args(arguments).env(VARIABLE, "1").exec();
    }
}

/// Checks that the machine has enough memory and files, before a library panics.
pub(crate) fn check() -> Result<(), Shortage> {
    // Nothing is written to it, so it occupies no memory. Without `black_box` the compiler would
    // remove it.
    let mut memory = Vec::<u8>::new();
    memory.try_reserve_exact(MEMORY).map_err(|_| Shortage::Memory)?;
    drop(black_box(memory));
    let pairs: io::Result<Vec<_>> = (0..PAIRS).map(|_| UnixStream::pair()).collect();
    pairs.map(drop).map_err(Shortage::Files)
}

/// The blocking threads of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// All of them, started before anything else.
    All,
    /// None, because nothing that runs there blocks.
    None,
}

/// A runtime with one thread, and with all its blocking threads started.
///
/// It warns if fewer can be started, because blocking jobs may then have to wait. It is an error if
/// none can.
pub(crate) fn runtime(threads: Threads, runs_as: RunsAs) -> Result<Runtime, Shortage> {
    // One thread is enough: the program almost always waits for the line.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_name("blocking")
        .thread_stack_size(STACK)
        .max_blocking_threads(THREADS)
        // It might be impossible to replace a thread that ended.
        .thread_keep_alive(Duration::MAX)
        .build()
        .map_err(Shortage::Runtime)?;
    if threads == Threads::None {
        return Ok(runtime);
    }
    // The first job panics if no thread can be started for it. Only a write to a standard stream
    // reports an error instead, so this one writes nothing. Once there is one thread, further jobs
    // wait for it.
    let first = runtime.block_on(async { tokio::io::stderr().write(&[]).await });
    first.map_err(|_| Shortage::Threads("the system refuses it".to_owned()))?;
    let started = start_all(&runtime);
    if started < THREADS {
        let hint = match runs_as {
            RunsAs::Program => RAISE_THREADS,
            RunsAs::AddOn => RESTART,
        };
        warn!(
            "Only {started} of {THREADS} threads could be started, so the page and look-ups of host \
             names may have to wait. {hint}."
        );
    }
    Ok(runtime)
}

/// Starts all blocking threads, and returns how many there are. tokio starts a thread only if all
/// others are busy, so each is held until all have started.
fn start_all(runtime: &Runtime) -> usize {
    let gate = Arc::new(Gate::default());
    for _ in 0..THREADS {
        let gate = Arc::clone(&gate);
        runtime.spawn_blocking(move || gate.pass());
    }
    gate.open(THREADS)
}

/// Holds threads.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    arrived: usize,
    is_open: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is open.
    fn pass(&self) {
        let mut state = self.lock();
        state.arrived += 1;
        self.changed.notify_all();
        let opened = self.changed.wait_while(state, |state| !state.is_open);
        drop(opened);
    }

    /// Opens it when this many threads have arrived, or after [`PATIENCE`]. Returns how many have.
    fn open(&self, most: usize) -> usize {
        let missing = |state: &mut State| state.arrived < most;
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, missing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_open = true;
        self.changed.notify_all();
        state.arrived
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    #[test]
    fn this_machine_has_enough() {
        check().unwrap();
    }

    /// All threads exist before the first job, and no more are started.
    #[test]
    fn all_blocking_threads_exist_from_the_start() {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().filter(is_blocking).count();
        let before = threads();
        let runtime = runtime(Threads::All, RunsAs::Program).unwrap();
        assert_eq!(threads(), before + THREADS);
        let barrier = Arc::new(Barrier::new(THREADS));
        let done = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let mut jobs = JoinSet::new();
            for _ in 0..THREADS * 3 {
                let (barrier, done) = (Arc::clone(&barrier), Arc::clone(&done));
                jobs.spawn_blocking(move || {
                    barrier.wait();
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            jobs.join_all().await;
        });
        assert_eq!(done.load(Ordering::Relaxed), THREADS * 3);
        assert_eq!(threads(), before + THREADS);
    }

    fn is_blocking(task: &io::Result<std::fs::DirEntry>) -> bool {
        let name = std::fs::read_to_string(task.as_ref().unwrap().path().join("comm"));
        name.is_ok_and(|name| name.trim() == "blocking")
    }

    #[test]
    fn a_gate_opens_even_if_no_thread_arrives() {
        let gate = Gate::default();
        assert_eq!(gate.open(0), 0);
        gate.pass();
    }

    #[test]
    fn each_shortage_has_a_message() {
        let too_many = || io::Error::from_raw_os_error(24);
        let all = [
            Shortage::Memory,
            Shortage::Files(too_many()),
            Shortage::Runtime(too_many()),
            Shortage::Threads("Resource temporarily unavailable (os error 11)".to_owned()),
        ];
        let words = all.map(|shortage| {
            let [of_program, of_app] =
                [RunsAs::Program, RunsAs::AddOn].map(|runs_as| shortage.words(runs_as));
            assert!(!of_app.contains("limit"), "{of_app}");
            format!("error: {of_program}\n  app: {of_app}")
        });
        insta::assert_snapshot!(words.join("\n"));
    }
}
