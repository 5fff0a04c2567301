//! Clocks that are moved by hand. The cockpit takes its clock as a plain function, so there is one function for
//! each drill that may be played at the same time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use covet_tui::domain::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Drills played at the same time, at most.
pub const AT_ONCE: usize = 4;

static NOW: [AtomicI64; AT_ONCE] = [const { AtomicI64::new(0) }; AT_ONCE];
static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
static FREE: Mutex<[bool; AT_ONCE]> = Mutex::new([true; AT_ONCE]);

const READ: [fn() -> Timestamp; AT_ONCE] = [read::<0>, read::<1>, read::<2>, read::<3>];

fn read<const AT: usize>() -> Timestamp {
    Timestamp::from_millisecond(NOW[AT].load(Ordering::Relaxed)).unwrap()
}

/// A clock of one's own, given back at the end.
pub struct Clock {
    at: usize,
    _place: SemaphorePermit<'static>,
}

impl Clock {
    /// Set to the present; waits until one is free.
    pub async fn take() -> Clock {
        let place = PLACES.acquire().await.unwrap();
        let mut free = FREE.lock().unwrap();
        let at = free.iter().position(|free| *free).unwrap();
        free[at] = false;
        NOW[at].store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
        Clock { at, _place: place }
    }

    pub fn read(&self) -> fn() -> Timestamp {
        READ[self.at]
    }

    pub fn now(&self) -> Timestamp {
        READ[self.at]()
    }

    pub fn advance(&self, milliseconds: i64) {
        NOW[self.at].fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        FREE.lock().unwrap()[self.at] = true;
    }
}
