//! The cache: how many lookups hit, what it holds, what it throws away when it is full.
//! It knows load and its own limit, not who asks.

use jiff::{SignedDuration, Timestamp};

use super::cluster::later;
use crate::lab::signals::Shown;

/// Lookups per request, and the share of them that hit when there is room for everything.
const LOOKUPS: f64 = 1.6;
const HITS: f64 = 0.92;
/// What the app would like to keep, in MiB.
const USUAL: f64 = 148.0;
/// Seconds in which the hit ratio comes most of the way to where it belongs.
const SETTLES: f64 = 100.0;

pub struct Keeping {
    /// What the app would like to keep now, in MiB.
    pub wanted_mib: f64,
    ratio: f64,
    hits: f64,
    misses: f64,
    evicted: f64,
    last: Option<Timestamp>,
    rng: fastrand::Rng,
}

impl Keeping {
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed ^ 0x6361);
        Self { wanted_mib: USUAL, ratio: HITS, hits: 0.0, misses: 0.0, evicted: 0.0, last: None, rng }
    }

    /// How much longer a request takes for what the cache does not have; 1 is the usual.
    pub fn slowness(&self) -> f64 {
        1.0 + 27.0 * (HITS - self.ratio - 0.02).max(0.0)
    }

    /// Counts what happened since the last call.
    pub fn advance(&mut self, shown: &mut Shown, clients: u64, load: f64, now: Timestamp, speed: f64) {
        let elapsed = self.last.map_or(0.0, |last| now.duration_since(last).as_secs_f64()).clamp(0.0, 60.0);
        self.last = Some(now);
        let cache = &mut shown.cache;
        let room = if cache.maxmemory == 0 { f64::MAX } else { cache.maxmemory as f64 / 1_048_576.0 };
        let full = self.wanted_mib > room;
        let share = (room / self.wanted_mib).min(1.0);
        let target = HITS * share.powf(0.9);
        self.ratio += (target - self.ratio) * (1.0 - (-elapsed * speed / SETTLES).exp());
        let lookups = load * LOOKUPS * elapsed;
        self.hits += lookups * self.ratio;
        self.misses += lookups * (1.0 - self.ratio);
        // What is fetched for a miss is kept, so something else has to go.
        self.evicted += if full { lookups * (1.0 - self.ratio) } else { 0.0 };
        if cache.keyspace_hits == 0 {
            // it has been up since the cluster is
            let month = 30.0 * 86_400.0 * load * LOOKUPS;
            (self.hits, self.misses) = (month * HITS, month * (1.0 - HITS));
            cache.started = later(now, -SignedDuration::from_hours(24 * 30));
        }
        cache.keyspace_hits = self.hits as u64;
        cache.keyspace_misses = self.misses as u64;
        cache.evicted_keys = self.evicted as u64;
        cache.total_commands_processed = ((self.hits + self.misses) * 1.2) as u64;
        cache.instantaneous_ops_per_sec = (load * LOOKUPS * 1.2) as u64;
        cache.connected_clients = clients;
        let held = self.wanted_mib.min(room);
        cache.keys = (41_877.0 * held / USUAL) as u64 + self.rng.u64(..40);
        cache.keys_with_expiry = cache.keys - 12;
        cache.used_memory = (held * 1_048_576.0 * 0.998) as u64 + self.rng.u64(..(1 << 17));
    }
}
