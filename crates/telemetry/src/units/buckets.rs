//! Loads of buckets.

use foreshift_wire::BucketReport;

use super::{UnitKind, UnitRate};
use crate::smooth::{Smooth, Tick};

/// A sparse set: those that are known lie dense, and each bucket's place among them is one array index away.
///
/// `places` may hold anything for a bucket that is not known; what lies at that place then says another bucket's
/// number (Briggs and Torczon, *An Efficient Representation for Sparse Sets*, 1993).
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets {
    known: Vec<Known>,
    /// Empty until the first report, then one element a bucket.
    places: Vec<u16>,
}

#[derive(Debug, Clone)]
struct Known {
    bucket: u16,
    open: u32,
    smooth: Smooth,
}

const BUCKETS: usize = 1 << 16;

impl Buckets {
    pub(super) fn observe(&mut self, report: &BucketReport, tick: &Tick) {
        let place = self
            .place(report.bucket)
            .unwrap_or_else(|| self.add(report.bucket));
        let known = &mut self.known[place];
        known.open = report.open;
        let rates = tick.rates(report.requests, report.bytes, report.busy_us);
        known.smooth.observe(rates, tick);
    }

    fn place(&self, bucket: u16) -> Option<usize> {
        let place = usize::from(*self.places.get(usize::from(bucket))?);
        let known = self.known.get(place)?;
        (known.bucket == bucket).then_some(place)
    }

    fn add(&mut self, bucket: u16) -> usize {
        self.places.resize(BUCKETS, 0);
        let place = self.known.len();
        // Fits: there are no more known buckets than buckets.
        self.places[usize::from(bucket)] = place as u16;
        self.known.push(Known {
            bucket,
            open: 0,
            smooth: Smooth::default(),
        });
        place
    }

    pub(super) fn sweep(&mut self, now_ms: u64, idle_ms: u64) {
        let mut place = 0;
        while let Some(known) = self.known.get(place) {
            if known.smooth.silent_ms(now_ms) < idle_ms {
                place += 1;
                continue;
            }
            self.known.swap_remove(place);
            if let Some(moved) = self.known.get(place) {
                self.places[usize::from(moved.bucket)] = place as u16;
            }
        }
    }

    pub(super) fn clamp(&mut self, now_ms: u64) {
        self.known.iter_mut().for_each(|known| known.smooth.clamp(now_ms));
    }

    pub(super) fn rate(&self, bucket: u16, now_ms: u64, constant_ms: f64) -> Option<UnitRate> {
        Some(self.known[self.place(bucket)?].rate(now_ms, constant_ms))
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn iter(
        &self,
        now_ms: u64,
        constant_ms: f64,
    ) -> impl Iterator<Item = (UnitKind, UnitRate)> + '_ {
        self.known
            .iter()
            .map(move |known| (UnitKind::Bucket(known.bucket), known.rate(now_ms, constant_ms)))
    }
}

impl Known {
    /// All buckets with open streams are in every report, so one that is not has none.
    fn rate(&self, now_ms: u64, constant_ms: f64) -> UnitRate {
        let open = if self.smooth.silent_ms(now_ms) == 0 {
            self.open
        } else {
            0
        };
        UnitRate::new(self.smooth.rates(now_ms, constant_ms), open)
    }
}
