//! Time limits, and pauses between retries.

#[cfg(target_arch = "wasm32")]
mod waiting;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasi;
#[cfg(target_arch = "wasm32")]
pub use {waiting::WaitingClock, wasi::WasiClock};

use futures_util::future::{Either, select};
use kvfuse_core::{Error, Result, Settings, error::quoted};
use std::cell::RefCell;
use std::future::Future;
use std::ops::Add;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// A moment on the monotonic clock of one instance, in nanoseconds since an arbitrary fixed moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The end of time, which no clock reaches.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A monotonic clock. On WASI: `wasi:clocks/monotonic-clock`.
pub trait Clock {
    /// The current moment.
    fn now(&self) -> Moment;
    /// Waits until `moment`; returns immediately if it has passed.
    fn sleep_until(&self, moment: Moment);
}

impl<C: Clock + ?Sized> Clock for Rc<C> {
    fn now(&self) -> Moment {
        (**self).now()
    }

    fn sleep_until(&self, moment: Moment) {
        (**self).sleep_until(moment);
    }
}

/// A monotonic clock whose waits let others go on, if its world has others. Every [`Clock`] is one, and waits inside the call.
pub trait AsyncClock {
    /// The current moment.
    fn now(&self) -> Moment;

    /// Waits until `moment`; is ready at once if it has passed.
    fn sleep_until(&self, moment: Moment) -> impl Future<Output = ()>;

    /// Lets the other calls go on that are ready, each until it waits. Is ready at once if there can be none.
    fn others_first(&self) -> impl Future<Output = ()>;
}

impl<C: Clock> AsyncClock for C {
    fn now(&self) -> Moment {
        Clock::now(self)
    }

    async fn sleep_until(&self, moment: Moment) {
        Clock::sleep_until(self, moment);
    }

    async fn others_first(&self) {}
}

/// The result of a future, unless the moment comes before it.
pub async fn before<T>(clock: &impl AsyncClock, moment: Moment, future: impl Future<Output = T>) -> Option<T> {
    if moment == Moment::NEVER {
        return Some(future.await);
    }
    match select(pin!(future), pin!(clock.sleep_until(moment))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// Something that may become ready, and timers to wait for beside it. On WASI: `wasi:io/poll`.
pub trait Pollable {
    /// A timer. It may be used for several waits, and by other pollables of its kind.
    type Timer;

    /// A timer that fires at a moment.
    fn timer(&self, at: Moment) -> Self::Timer;

    /// Waits until this is ready or the timer fires. Both may be so on return, and a timer that has fired is always
    /// reported.
    fn poll(&self, timer: &Self::Timer) -> Polled;
}

/// What a [`Pollable`] waited for. At least one of the two is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// What was waited for is ready.
    pub ready: bool,
    /// The timer has fired.
    pub fired: bool,
}

/// Waits with a deadline.
///
/// The timer is kept from one wait to the next, and most waits do not create one. A timer that fires before the
/// deadline is good enough: the wait then continues with a new one.
pub struct Waiter<T> {
    timer: RefCell<Option<(Moment, T)>>,
}

impl<T> Default for Waiter<T> {
    fn default() -> Self {
        Self { timer: RefCell::default() }
    }
}

impl<T> Waiter<T> {
    /// Returns whether `what` became ready before the deadline. Once the deadline has passed it is too late, even for
    /// what is ready: otherwise a server that never stops sending would keep its caller forever.
    pub fn wait(&self, what: &impl Pollable<Timer = T>, deadline: Moment) -> bool {
        let mut kept = self.timer.borrow_mut();
        loop {
            let (at, timer) = match kept.take() {
                Some((at, timer)) if at <= deadline => (at, timer),
                _ => (deadline, what.timer(deadline)),
            };
            let polled = what.poll(&timer);
            if !polled.fired {
                *kept = Some((at, timer));
                return polled.ready;
            }
            if at >= deadline {
                return false;
            }
        }
    }
}

/// The time limit of one operation, from `KEYVALUE_TIMEOUT_MS`: 1 to 3,600,000 milliseconds, 5,000 if it is not set.
///
/// ```
/// use kvfuse_core::Settings;
/// use kvfuse_transport::clock::time_limit;
/// use std::time::Duration;
///
/// assert_eq!(time_limit(&Settings::default())?, Duration::from_secs(5));
/// # Ok::<(), kvfuse_core::Error>(())
/// ```
///
/// # Errors
/// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) if the variable is not such a number.
pub fn time_limit(settings: &Settings) -> Result<Duration> {
    const NAME: &str = "KEYVALUE_TIMEOUT_MS";
    let Some(text) = settings.get(NAME) else { return Ok(Duration::from_millis(5000)) };
    match text.parse() {
        Ok(ms @ 1..=3_600_000) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(Duration::from_millis(ms)),
        _ => Err(Error::invalid(format!("{NAME}={} is not a number of milliseconds from 1 to 3600000", quoted(text)))),
    }
}

/// Pauses between the attempts at one operation. They double from [`FIRST`](Self::FIRST) to [`LONGEST`](Self::LONGEST),
/// and each is shortened at random by up to a half, so that instances that failed together do not retry together.
///
/// ```
/// use kvfuse_transport::clock::Backoff;
///
/// let mut backoff = Backoff::new(7);
/// assert!(backoff.pause() <= Backoff::FIRST);
/// assert!((0..100).all(|_| backoff.pause() <= Backoff::LONGEST));
/// ```
pub struct Backoff {
    pause: Duration,
    random: u64,
}

impl Backoff {
    /// The first pause.
    pub const FIRST: Duration = Duration::from_millis(10);
    /// The longest pause.
    pub const LONGEST: Duration = Duration::from_millis(500);

    /// The seed determines the jitter. The nanoseconds of the clock are good enough, because they differ between
    /// instances.
    pub fn new(seed: u64) -> Self {
        Self { pause: Self::FIRST, random: seed }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let whole = self.pause;
        self.pause = (whole * 2).min(Self::LONGEST);
        let half = whole / 2;
        half + half.mul_f64(self.fraction())
    }

    /// Waits for the next pause. Returns `false`, without waiting, if the pause would exceed the deadline.
    pub fn wait(&mut self, clock: &impl Clock, deadline: Moment) -> bool {
        let until = self.until(clock.now(), deadline);
        until.inspect(|until| clock.sleep_until(*until)).is_some()
    }

    /// The same for a clock whose waits let others go on.
    pub async fn wait_async(&mut self, clock: &impl AsyncClock, deadline: Moment) -> bool {
        match self.until(clock.now(), deadline) {
            Some(until) => clock.sleep_until(until).await,
            None => return false,
        }
        true
    }

    /// The end of the next pause, unless it would exceed the deadline.
    fn until(&mut self, now: Moment, deadline: Moment) -> Option<Moment> {
        Some(now + self.pause()).filter(|until| *until < deadline)
    }

    /// A random number from 0 to 1, exclusive (splitmix64, Steele, Lea and Flood 2014).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn limit(text: &str) -> Result<Duration> {
        time_limit(&Settings::new([("KEYVALUE_TIMEOUT_MS".to_string(), text.to_string())]))
    }

    #[test]
    fn a_time_limit_is_only_a_number_of_milliseconds() {
        assert_eq!(limit(""), Ok(Duration::from_secs(5)));
        assert_eq!(limit("250"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "+5", "1.5", "5s", "3600001", "99999999999999999999"] {
            assert!(limit(text).unwrap_err().message().contains("KEYVALUE_TIMEOUT_MS"), "{text}");
        }
    }

    /// Something that is ready from a moment on, under a clock that moves on with every poll.
    struct Fake {
        now: Cell<u64>,
        ready_from: u64,
        timers: Cell<usize>,
    }

    impl Pollable for Fake {
        type Timer = Moment;

        fn timer(&self, at: Moment) -> Moment {
            self.timers.set(self.timers.get() + 1);
            at
        }

        fn poll(&self, timer: &Moment) -> Polled {
            let until = self.ready_from.min(timer.0).max(self.now.get());
            self.now.set(until + 1);
            Polled { ready: self.ready_from <= until, fired: timer.0 <= until }
        }
    }

    fn fake(ready_from: u64) -> Fake {
        Fake { now: Cell::new(0), ready_from, timers: Cell::new(0) }
    }

    #[test]
    fn a_wait_ends_when_it_is_ready_or_at_the_deadline() {
        assert!(Waiter::default().wait(&fake(5), Moment(10)));
        assert!(!Waiter::default().wait(&fake(15), Moment(10)));
    }

    #[test]
    fn a_deadline_wins_over_what_is_always_ready() {
        let (waiter, input) = (Waiter::default(), fake(0));
        let waits = (0..1000).take_while(|_| waiter.wait(&input, Moment(100))).count();
        assert_eq!((waits, input.timers.get()), (100, 1));
    }

    #[test]
    fn a_timer_of_an_earlier_deadline_does_not_end_a_wait_and_a_later_one_does_not_prolong_it() {
        let (waiter, input) = (Waiter::default(), fake(0));
        assert!(waiter.wait(&input, Moment(10)));
        input.now.set(20);
        assert!(waiter.wait(&input, Moment(30)), "the kept timer has fired, and its deadline was another");
        assert!(waiter.wait(&input, Moment(1000)));
        assert!(!waiter.wait(&input, Moment(21)), "what is kept fires later");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_at_most_half() {
        for seed in [0, 1, u64::MAX, 0x5eed] {
            let mut backoff = Backoff::new(seed);
            let mut whole = Backoff::FIRST;
            for _ in 0..20 {
                let pause = backoff.pause();
                assert!(whole / 2 <= pause && pause <= whole, "{pause:?} of {whole:?}");
                whole = (whole * 2).min(Backoff::LONGEST);
            }
        }
    }

    #[test]
    fn instances_with_different_seeds_pause_differently() {
        assert_ne!(Backoff::new(1).pause(), Backoff::new(2).pause());
    }
}
