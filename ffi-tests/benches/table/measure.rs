//! The measures.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::counts::{self, Counted};
use super::ends;
use super::job::{Job, TokenJob};
use super::program::{CPrograms, Caller, Idle, Paths, Program};
use super::proxy::Proxy;
use super::server::Server;
use super::table::{median, Cells, Goal, Row};

/// Sizes of events, and how many make a run: under callgrind a few and many, and by the clock.
const SIZES: [(usize, u64, u64, u64); 2] = [(256, 2_000, 42_000, 200_000), (4096, 1_000, 9_000, 40_000)];
/// Clients in one process beside the first.
const FURTHER: u64 = 100;
const FURTHER_CLIENT: &str = "resident KiB a further client, of 100";
const FURTHER_GUEST: &str = "the same where all share a source of tokens";
/// How long bytes are held back, each way.
const DELAY: Duration = Duration::from_millis(20);
/// What wakes a silent client in a minute: at most three pings and three pongs.
const KEEP_ALIVE_WAKE_UPS: f64 = 6.0;
/// Where most systems have the roots of the web.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Everything a measure needs.
pub struct Bench {
    pub paths: Paths,
    server: Server,
    caller: Caller,
    c_programs: CPrograms,
    programs: [Program; 4],
    is_quick: bool,
    next_id: Cell<u64>,
}

impl Bench {
    /// Builds the library and the C programs, and starts the server.
    pub fn start(is_quick: bool) -> Self {
        let paths = Paths::new();
        eprintln!("building the library of {}", paths.root.display());
        let c_programs = paths.c_programs();
        let server = Server::start();
        let ca_file = paths.out.join("ca.pem");
        fs::write(&ca_file, &server.ca_pem).expect("the CA is written");
        let caller = Caller { addr: server.addr, ca_file };
        let programs = Program::all(&c_programs.client);
        Self { paths, server, caller, c_programs, programs, is_quick, next_id: Cell::new(1) }
    }

    /// All rows, and what was left out.
    pub fn run(&self) -> (Vec<Row>, Vec<String>) {
        let mut skipped = Vec::new();
        let (many, shared) = (self.crowd("idle"), self.crowd("shared"));
        let idlers = self.programs.each_ref().map(|program| self.idle(program, "idle", 1));
        // What a start leaves to be done is done by then.
        thread::sleep(Duration::from_secs(3));
        let (since, before) = (Instant::now(), idlers.each_ref().map(Idle::switches));
        let mut rows = self.round_trips();
        rows.extend(self.resets());
        rows.extend(self.connects());
        rows.extend(self.latency());
        rows.extend(self.renewal());
        rows.extend(SIZES.iter().map(|&(size, _, _, n)| self.cpu(size, n)));
        if self.wants("valgrind", "instructions and allocations an event", &mut skipped) {
            rows.extend(SIZES.iter().flat_map(|&(size, few, many, _)| self.instructions(size, few, many)));
        }
        if self.wants("strace", "system calls an event", &mut skipped) {
            rows.extend(self.system_calls());
        }
        rows.extend(ends::rows(&self.server, &self.caller, &self.c_programs.shutdown, self.rounds(5)));
        rows.extend(self.sizes());
        if self.is_quick {
            skipped.push("idle wake-ups: --quick does not wait for a minute".into());
        } else {
            thread::sleep(Duration::from_secs(60).saturating_sub(since.elapsed()));
            rows.push(wake_ups(&idlers, before, since.elapsed()));
        }
        rows.extend(memory(&idlers));
        rows.push(many.row(FURTHER_CLIENT, Goal::Open));
        rows.push(shared.row(FURTHER_GUEST, Goal::BothAtMost(45.0)));
        (rows, skipped)
    }

    /// What a further client takes, and nothing else.
    pub fn further(&self) -> (Vec<Row>, Vec<String>) {
        let (own, shared) = (self.crowd("idle"), self.crowd("shared"));
        thread::sleep(Duration::from_secs(3));
        let rows = vec![own.row(FURTHER_CLIENT, Goal::Open), shared.row(FURTHER_GUEST, Goal::BothAtMost(45.0))];
        (rows, vec!["everything else: --further".into()])
    }

    fn idle(&self, program: &Program, job: &'static str, n: u64) -> Idle {
        let copy = self.paths.out.join(format!("{job}-{}-{n}", program.name));
        program.idle(&self.caller.call(&Job::Idle, TokenJob::PLAIN, job, n), &copy)
    }

    /// One client, and many, in each mode of delivery.
    fn crowd(&self, job: &'static str) -> Crowd {
        let ours = self.programs.iter().filter(|program| program.is_ours());
        Crowd(ours.map(|program| [1, 1 + FURTHER].map(|n| self.idle(program, job, n))).collect())
    }

    fn wants(&self, tool: &str, what: &str, skipped: &mut Vec<String>) -> bool {
        let why = match (self.is_quick, counts::works(tool)) {
            (true, _) => "--quick".to_owned(),
            (_, false) => format!("{tool} is missing or does not work here"),
            (false, true) => return true,
        };
        skipped.push(format!("{what}: {why}"));
        false
    }

    fn rounds(&self, n: usize) -> usize {
        if self.is_quick {
            n.div_ceil(2)
        } else {
            n
        }
    }

    fn id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// A measure of each program, in interleaved rounds: `[program][round]`.
    fn interleaved(&self, rounds: usize, mut measure: impl FnMut(&Program) -> Option<f64>) -> [Vec<f64>; 4] {
        let mut values: [Vec<f64>; 4] = Default::default();
        for _ in 0..rounds {
            for (program, values) in self.programs.iter().zip(&mut values) {
                values.extend(measure(program));
            }
        }
        values
    }

    fn round_trips(&self) -> Vec<Row> {
        eprintln!("round trips");
        let proxy = Proxy::start(self.server.addr, DELAY);
        let caller = Caller { addr: proxy.addr, ca_file: self.caller.ca_file.clone() };
        let cold = self.interleaved(self.rounds(5), |program| {
            let call = caller.call(&Job::Events { n: 1, size: 256, rate: 0 }, TokenJob::PLAIN, "events", 1);
            let ready = Duration::from_nanos(program.run(&[], &call).number("ready_ns") as u64);
            Some(proxy.round_trips(ready))
        });
        let warm = self.interleaved(self.rounds(5), |program| {
            program.is_ours().then(|| {
                let call = caller.call(&Job::Idle, TokenJob::PLAIN, "warm", 1);
                let ready = Duration::from_nanos(program.run(&[], &call).number("ready_ns") as u64);
                proxy.round_trips(ready)
            })
        });
        let again = self.interleaved(self.rounds(3), |program| {
            program.is_ours().then(|| {
                let call = caller.call(&Job::Again { id: self.id() }, TokenJob::PLAIN, "report", 1);
                let micros = program.run(&[], &call).report("accepted_to_ready_us")?;
                // The server sent its last word then; it has to get here yet.
                Some(proxy.round_trips(Duration::from_micros(micros as u64) + DELAY))
            })?
        });
        vec![
            Row::new("round trips, cold start to authenticated", cells(cold), Goal::BothAtMost(4.2)),
            Row::new("round trips, second client of a process", cells(warm), Goal::BothAtMost(4.2)),
            Row::new("round trips, reconnect with a valid token", cells(again), Goal::BothAtMost(4.1)),
        ]
    }

    /// From the RST of a live connection until the next one is live: the wait that the rule wants, and all the rest.
    fn resets(&self) -> [Row; 2] {
        eprintln!("resets");
        let (mut waits, mut rest) = (<[Vec<f64>; 4]>::default(), <[Vec<f64>; 4]>::default());
        for _ in 0..self.rounds(5) {
            for (at, program) in self.programs.iter().enumerate().filter(|(_, program)| program.is_ours()) {
                let call = self.caller.call(&Job::Reset { id: self.id() }, TokenJob::PLAIN, "report", 1);
                let printed = program.run(&[], &call);
                let waited = printed.number("waited_ns") / 1e6;
                waits[at].push(waited);
                rest[at].extend(printed.report("reset_to_ready_us").map(|micros| micros / 1e3 - waited));
            }
        }
        [
            Row::new("RST to live again: the wait before the dial, 500 to 1,000 ms", cells(waits), Goal::Open),
            Row::new("RST to live again: all the rest, ms", cells(rest), Goal::Open),
        ]
    }

    fn connects(&self) -> Vec<Row> {
        eprintln!("connects");
        let mut rows = vec![self.connect("CPU ms of a connect, one CA", self.caller.ca_file.clone())];
        if let Ok(system) = fs::read_to_string(SYSTEM_ROOTS) {
            let ca_file = self.paths.out.join("roots.pem");
            fs::write(&ca_file, system + &self.server.ca_pem).expect("the roots are written");
            rows.push(self.connect("CPU ms of a connect, system roots", ca_file));
        }
        rows
    }

    fn connect(&self, measure: &str, ca_file: PathBuf) -> Row {
        let caller = Caller { addr: self.caller.addr, ca_file };
        let values = self.interleaved(self.rounds(11), |program| {
            Some(program.run(&[], &caller.events(1, 256, 0)).number("ready_cpu_ns") / 1e6)
        });
        ratio_row(measure, values, Goal::Ratio(1.25, None))
    }

    fn latency(&self) -> [Row; 2] {
        eprintln!("latency of sends");
        let n = 1500;
        let mut p50: [Vec<f64>; 4] = Default::default();
        let mut p99: [Vec<f64>; 4] = Default::default();
        for _ in 0..self.rounds(5) {
            for (at, program) in self.programs.iter().enumerate() {
                let call = self.caller.call(&Job::Sink { n }, TokenJob::PLAIN, "send", n as u64);
                let printed = program.run(&[], &call);
                p50[at].extend(printed.report("p50_us"));
                p99[at].extend(printed.report("p99_us"));
            }
        }
        [
            Row::new("send to the other end, p50 µs", best(p50), Goal::Open),
            Row::new("send to the other end, p99 µs", best(p99), Goal::AboveFloor(150.0)),
        ]
    }

    fn renewal(&self) -> [Row; 2] {
        eprintln!("renewal");
        let (mut pong, mut auth) = (<[Vec<f64>; 4]>::default(), <[Vec<f64>; 4]>::default());
        for _ in 0..self.rounds(3) {
            for (at, program) in self.programs.iter().enumerate().filter(|(_, program)| program.is_ours()) {
                let id = self.id();
                let token = TokenJob { expires_s: 6, slow_ms: 300, id };
                let call = self.caller.call(&Job::Pings { ms: 4_000, id }, token, "report", 1);
                let printed = program.run(&[], &call);
                pong[at].extend(printed.report("longest_pong_us").map(|micros| micros / 1e3));
                auth[at].extend(printed.report("token_to_auth_us").map(|micros| micros / 1e3));
            }
        }
        [
            Row::new(
                "longest wait for a pong while the token endpoint takes 300 ms, ms",
                best(pong),
                Goal::BothAtMost(5.0),
            ),
            Row::new("renewal: token on the wire to auth message on the wire, ms", best(auth), Goal::BothAtMost(1.0)),
        ]
    }

    fn cpu(&self, size: usize, n: u64) -> Row {
        eprintln!("CPU of events of {size} bytes");
        let n = if self.is_quick { n / 4 } else { n };
        let values = self.interleaved(self.rounds(7), |program| {
            let printed = program.run(&[], &self.caller.events(n, size, 0));
            Some(printed.number("cpu_ns") / (n - 1) as f64)
        });
        let goal = if size == 256 { Goal::DispatchedRatio(2.0) } else { Goal::Open };
        ratio_row(&format!("CPU ns an event, {size} B"), values, goal)
    }

    fn instructions(&self, size: usize, few: u64, many: u64) -> Vec<Row> {
        eprintln!("instructions of events of {size} bytes");
        let mut counted = Vec::new();
        for program in &self.programs {
            let run = |n| counts::callgrind(program, &self.caller.events(n, size, 0), &self.paths.out);
            counted.push([run(few), run(many)]);
        }
        let each = |what: fn(&Counted) -> f64| -> Cells {
            let an_event = |[few_of, many_of]: &[Counted; 2]| (what(many_of) - what(few_of)) / (many - few) as f64;
            std::array::from_fn(|at| counted.get(at).map(an_event))
        };
        let goal = if size == 256 { 1.3 } else { 1.33 };
        let round = |value: f64| (value * 100.0).round() / 100.0;
        let mut rows = vec![
            Row::new(format!("instructions an event, {size} B"), each(|run| run.instructions), Goal::Ratio(goal, None)),
            Row::new(
                format!("allocations an event, {size} B"),
                each(|run| run.allocations).map(|cell| cell.map(round)),
                Goal::BothAtMost(1.05),
            ),
        ];
        if size == 256 {
            let start = |[few_of, _]: &[Counted; 2]| few_of.instructions / 1e6;
            let millions =
                std::array::from_fn(|at| Some(start(counted.get(at)?) - rows[0].cells[at]? * few as f64 / 1e6));
            rows.push(Row::new("instructions of a start to Ready, millions", millions, Goal::Open));
        }
        rows
    }

    fn system_calls(&self) -> [Row; 2] {
        eprintln!("system calls");
        let an_event = |few: u64, many: u64, rate: u64| {
            let each = self.programs.each_ref().map(|program| {
                let run = |n| counts::system_calls(program, &self.caller.events(n, 256, rate), &self.paths.out);
                let (few_of, many_of) = (run(few), run(many));
                Some(((many_of - few_of) / (many - few) as f64 * 100.0).round() / 100.0)
            });
            each
        };
        [
            Row::new("system calls an event, 1,000 a second", an_event(200, 2_200, 1_000), Goal::AtMost(2.0)),
            Row::new("system calls an event, as fast as possible", an_event(2_000, 22_000, 0), Goal::Open),
        ]
    }

    fn sizes(&self) -> [Row; 3] {
        let size = |program: &Path| Some(self.paths.stripped_kib(program));
        let [_, _, floor, naive] = self.programs.each_ref().map(Program::path);
        let [packed, small] = self.paths.packed();
        let row = |measure: &str, ours: &Path, others: [Option<f64>; 2], goal: f64| {
            Row::new(measure, [size(ours), None, others[0], others[1]], Goal::AtMost(goal))
        };
        let plain = [size(floor), size(naive)];
        [
            row("size of minimal.c, stripped, KiB", &self.c_programs.minimal, plain, 2300.0),
            row("the same with packed relocations, KiB", &packed, [None; 2], 2300.0),
            row("the same in the small profile, KiB", &small, [None; 2], 1900.0),
        ]
    }
}

/// Programs with one client and with many.
struct Crowd(Vec<[Idle; 2]>);

impl Crowd {
    /// What each of the further ones takes.
    fn row(&self, measure: &str, goal: Goal) -> Row {
        let resident = |idle: &Idle| idle.memory_kib(&["Rss:"]);
        let further = |[one, many]: &[Idle; 2]| (resident(many) - resident(one)) / FURTHER as f64;
        Row::new(measure, std::array::from_fn(|at| Some(further(self.0.get(at)?))), goal)
    }
}

/// Taken at the end, when every client has been silent for a while.
fn memory(idlers: &[Idle; 4]) -> [Row; 2] {
    let uss = idlers.each_ref().map(|idle| Some(idle.memory_kib(&["Private_"])));
    let rss = idlers.each_ref().map(|idle| Some(idle.memory_kib(&["Rss:"])));
    [
        Row::new("idle private memory (Uss), KiB", uss, Goal::BothAtMost(2000.0)),
        Row::new("idle resident memory (Rss), KiB", rss, Goal::Open),
    ]
}

fn wake_ups(idlers: &[Idle; 4], before: [f64; 4], time: Duration) -> Row {
    let minute = 60.0 / time.as_secs_f64();
    let cells = std::array::from_fn(|at| Some(((idlers[at].switches() - before[at]) * minute).round()));
    Row::new("wake-ups in 60 idle seconds, all threads", cells, Goal::BothAtMost(KEEP_ALIVE_WAKE_UPS))
}

fn cells(values: [Vec<f64>; 4]) -> Cells {
    values.map(|mut values| median(&mut values))
}

/// The best rounds: of times that a busy machine can only lengthen, and whose cause, if it is ours, is in every round.
fn best(values: [Vec<f64>; 4]) -> Cells {
    values.map(|values| values.into_iter().min_by(f64::total_cmp))
}

/// Medians, and the medians of the ratios within a round: what disturbs a round disturbs both sides of its ratio.
fn ratio_row(measure: &str, values: [Vec<f64>; 4], goal: Goal) -> Row {
    let ratio = |at: usize| {
        let pairs = values[at].iter().zip(&values[2]);
        median(&mut pairs.map(|(ours, floor)| ours / floor).collect::<Vec<_>>())
    };
    let ratios = [ratio(0), ratio(1)];
    Row { ratios, ..Row::new(measure, cells(values), goal) }
}
