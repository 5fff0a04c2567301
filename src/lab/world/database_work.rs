//! What the database works on: statements with their cost, its CPUs, indexes on their way. It knows rates and
//! costs, not who is connected.

use super::traffic::{LOGINS, Traffic};
use crate::lab::database::{Building, Statement};
use crate::lab::signals::Database;

/// CPUs of the server, unless it was let grow.
pub const CPUS: u32 = 4;

/// Seconds an index takes, and the share of the CPUs it costs meanwhile.
const BUILDS_IN: f64 = 90.0;
const BUILD_COSTS: f64 = 0.1;
/// Above this share of the CPUs sessions queue up; so many at most.
const FULL: f64 = 0.9;
const MOST_LOAD: f64 = 12.0;

/// One statement of the app: its rate per request, milliseconds and rows for each, blocks read; and the table and
/// column it searches, with what a search costs when there is no index.
struct Shape {
    id: i64,
    text: &'static str,
    per_request: f64,
    milliseconds: f64,
    rows: f64,
    searches: Option<(&'static str, &'static str, f64)>,
}

const SHAPES: [Shape; 5] = [
    Shape {
        id: 7_204_114_509_938_210_417,
        text: "SELECT items.id, items.name, items.price FROM items WHERE items.category_id = $1 ORDER BY items.id LIMIT $2",
        per_request: 1.2,
        milliseconds: 6.0,
        rows: 20.0,
        searches: Some(("items", "category_id", 24.0)),
    },
    Shape {
        id: -3_391_560_127_743_005_886,
        text: "SELECT users.id, users.email FROM users WHERE users.email = $1",
        per_request: LOGINS,
        milliseconds: 0.4,
        rows: 1.0,
        searches: Some(("users", "email", 200.0)),
    },
    Shape {
        id: 1_855_029_664_120_778_031,
        text: "INSERT INTO orders (user_id, total, created_at) VALUES ($1, $2, now()) RETURNING id",
        per_request: 0.18,
        milliseconds: 6.0,
        rows: 1.0,
        searches: None,
    },
    Shape {
        id: 4_512_206_398_551_047_120,
        text: "SELECT items.id FROM items WHERE items.name % $1 ORDER BY similarity(items.name, $1) DESC LIMIT $2",
        per_request: 0.22,
        milliseconds: 22.0,
        rows: 10.0,
        searches: None,
    },
    Shape {
        id: -8_026_733_401_296_554_409,
        text: "SELECT id, payload FROM jobs WHERE state = $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED",
        per_request: 0.03,
        milliseconds: 0.9,
        rows: 1.0,
        searches: None,
    },
];

/// The statement of logins.
const LOGIN: usize = 1;

/// What is worked on at the moment.
pub struct Work {
    pub cpus: f64,
    /// Seconds of CPU that each statement wants each second.
    demand: [f64; SHAPES.len()],
    /// What an index takes beside them.
    building: f64,
    waiting: usize,
}

impl Default for Work {
    fn default() -> Self {
        Self { cpus: f64::from(CPUS), demand: [0.0; SHAPES.len()], building: 0.0, waiting: 0 }
    }
}

impl Work {
    fn wanted(&self) -> f64 {
        self.demand.iter().sum::<f64>() + self.building
    }

    /// Sessions that run or wait for a CPU.
    pub fn load(&self) -> f64 {
        let (wanted, cpus) = (self.wanted(), self.cpus);
        let queue = (wanted - cpus * FULL).max(0.0) * 3.0;
        (wanted.min(cpus) + queue).min(MOST_LOAD)
    }

    /// The 95th percentile of requests that the database alone would make, in seconds.
    pub fn delay(&self) -> f64 {
        let over = self.wanted() / self.cpus - FULL;
        let busy = if over > 0.0 { 1.0 + over * 12.0 } else { 0.0 };
        let locked = 0.4 * self.waiting as f64;
        f64::max(busy, locked).min(4.0)
    }

    /// A statement that may be running now, by its share of the work.
    pub fn some_text(&self, rng: &mut fastrand::Rng) -> String {
        let mut left = rng.f64() * self.demand.iter().sum::<f64>();
        let shape = SHAPES.iter().zip(self.demand).find(|(_, demand)| {
            left -= demand;
            left <= 0.0
        });
        shape.map_or(SHAPES[0].text, |(shape, _)| shape.text).to_owned()
    }

    /// A stretch of time: statements are counted, tables read, indexes built.
    pub fn advance(
        &mut self,
        database: &mut Database,
        traffic: &Traffic,
        (elapsed, speed): (f64, f64),
        waiting: usize,
    ) {
        self.waiting = waiting;
        self.building = if database.indexes.iter().any(|index| index.building.is_some()) {
            self.cpus * BUILD_COSTS
        } else {
            0.0
        };
        let rates: Vec<f64> = SHAPES
            .iter()
            .enumerate()
            .map(|(index, shape)| {
                let more = if index == LOGIN { traffic.logins } else { 1.0 };
                let guesses = traffic.knocking.reach * traffic.door;
                let own = if index == LOGIN { guesses } else { 0.0 };
                (traffic.load - guesses) * shape.per_request * more + own
            })
            .collect();
        for (index, shape) in SHAPES.iter().enumerate() {
            self.demand[index] = rates[index] * cost(database, shape) / 1000.0;
        }
        // What does not fit is done later: a full server ends fewer statements, and each takes longer.
        let served = (self.cpus / self.wanted().max(0.01)).min(1.0);
        let slower = self.load() / self.wanted().max(0.01);
        for (shape, rate) in SHAPES.iter().zip(rates) {
            let calls = rate * served * elapsed;
            let milliseconds = calls * cost(database, shape) * slower.max(1.0);
            count(database, shape, calls, milliseconds);
        }
        database.cpu = (self.wanted() / self.cpus).min(0.97);
        database.load = self.load() + waiting as f64;
        build(database, elapsed * speed);
    }
}

/// Milliseconds that one execution wants.
fn cost(database: &Database, shape: &Shape) -> f64 {
    // An index that was never finished is written all the same.
    let leftovers = database.indexes.iter().filter(|index| !index.valid && index.building.is_none()).count();
    let writes = if shape.text.starts_with("INSERT") { 1.0 + 0.5 * leftovers as f64 } else { 1.0 };
    match shape.searches {
        Some((table, column, whole)) if !database.has_index(table, column) => whole,
        _ => shape.milliseconds * writes,
    }
}

fn count(database: &mut Database, shape: &Shape, calls: f64, milliseconds: f64) {
    if let Some((name, column, _)) = shape.searches {
        let indexed = database.has_index(name, column);
        if let Some(table) = database.tables.iter_mut().find(|table| table.name == name) {
            if indexed {
                table.index_scans += calls;
            } else {
                table.scans += calls;
                table.rows_scanned += calls * table.rows;
            }
        }
    }
    let known = database.statements.iter_mut().find(|statement| statement.id == shape.id);
    let (rows, blocks) = (calls * shape.rows, calls * 0.2);
    match known {
        Some(statement) => {
            statement.calls += calls;
            statement.milliseconds += milliseconds;
            statement.rows += rows;
            statement.blocks += blocks;
        }
        None => database.statements.push(Statement {
            id: shape.id,
            text: shape.text.to_owned(),
            calls,
            milliseconds,
            rows,
            blocks,
        }),
    }
}

/// Indexes grow, unless a transaction that was open before is still open.
fn build(database: &mut Database, seconds: f64) {
    let oldest: Vec<Option<i32>> = database
        .indexes
        .iter()
        .map(|index| index.building.and_then(|building| database.older_transaction(building.since)))
        .collect();
    for (index, waits_for) in database.indexes.iter_mut().zip(oldest) {
        let Some(Building { share, .. }) = &mut index.building else { continue };
        if waits_for.is_some() && *share <= 0.0 {
            continue;
        }
        *share = (*share + seconds / BUILDS_IN).min(1.0);
        if *share >= 1.0 {
            index.building = None;
            index.valid = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn settled(database: &mut Database, traffic: &Traffic) -> Work {
        let mut work = Work::default();
        for _ in 0..5 {
            work.advance(database, traffic, (1.0, 1.0), 0);
        }
        work
    }

    #[test]
    fn a_missing_index_and_twice_the_logins_fill_the_server_and_the_index_empties_it() {
        let (mut database, mut traffic) = (Database::default(), Traffic::new(1));
        let usual = settled(&mut database, &traffic);
        assert!((1.0..2.5).contains(&usual.load()) && usual.delay() < 0.1, "{}", usual.load());
        database.indexes.retain(|index| index.name != "users_email_idx");
        traffic.logins = 2.0;
        let full = settled(&mut database, &traffic);
        assert!(full.load() > 7.0 && full.delay() > 3.0 && database.cpu > 0.95, "{}", full.load());
        let share = full.demand[LOGIN] / full.wanted();
        assert!((0.6..0.8).contains(&share), "{share}");
        database.indexes.push(crate::lab::database::Index {
            name: "again".into(),
            table: "users".into(),
            columns: vec!["email".into()],
            building: Some(Building { pid: 1, since: Timestamp::UNIX_EPOCH, share: 0.0 }),
            ..Default::default()
        });
        let mut work = Work::default();
        for _ in 0..95 {
            work.advance(&mut database, &traffic, (1.0, 1.0), 0);
        }
        assert!(
            database.index("again").is_some_and(|index| index.valid) && work.load() < 2.5,
            "{}",
            work.load()
        );
    }
}
