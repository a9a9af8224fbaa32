//! A value measured over the last few windows of time: Kafka's `SampledStat`, and the rate made from one.

use super::Sampling;

/// How the values of a sample become one, and samples the result.
#[derive(Clone, Copy)]
pub(super) enum Combine {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

pub(super) struct Sampled {
    combine: Combine,
    samples: Vec<Sample>,
    current: usize,
}

#[derive(Clone, Copy)]
struct Sample {
    value: f64,
    events: u64,
    start_ms: i64,
    last_ms: i64,
}

impl Sampled {
    pub(super) fn new(combine: Combine) -> Self {
        Self { combine, samples: Vec::new(), current: 0 }
    }

    pub(super) fn record(&mut self, value: f64, now_ms: i64, sampling: Sampling) {
        let fresh = self.fresh(now_ms);
        let is_complete = match self.samples.get(self.current) {
            Some(sample) => now_ms.saturating_sub(sample.start_ms) >= sampling.window_ms,
            None => true,
        };
        if is_complete {
            // One more than are asked for: the oldest overlaps the window.
            self.current = if self.samples.is_empty() { 0 } else { (self.current + 1) % (sampling.samples + 1) };
            match self.samples.get_mut(self.current) {
                Some(sample) => *sample = fresh,
                None => self.samples.push(fresh),
            }
        }
        let combine = self.combine;
        if let Some(sample) = self.samples.get_mut(self.current) {
            sample.value = match combine {
                Combine::Count => sample.value + 1.0,
                Combine::Sum | Combine::Avg => sample.value + value,
                Combine::Min => sample.value.min(value),
                Combine::Max => sample.value.max(value),
            };
            sample.events += 1;
            sample.last_ms = now_ms;
        }
    }

    pub(super) fn measure(&mut self, now_ms: i64, sampling: Sampling) -> f64 {
        self.forget(now_ms, sampling);
        let events: u64 = self.samples.iter().map(|sample| sample.events).sum();
        let values = self.samples.iter().map(|sample| sample.value);
        match self.combine {
            Combine::Count | Combine::Sum => values.sum(),
            _ if events == 0 => f64::NAN,
            Combine::Avg => values.sum::<f64>() / events as f64,
            Combine::Min => values.fold(f64::INFINITY, f64::min),
            Combine::Max => values.fold(f64::NEG_INFINITY, f64::max),
        }
    }

    pub(super) fn per_second(&mut self, now_ms: i64, sampling: Sampling) -> f64 {
        let value = self.measure(now_ms, sampling);
        let oldest = self.samples.iter().map(|sample| sample.start_ms).min().unwrap_or(now_ms);
        let elapsed = now_ms.saturating_sub(oldest);
        // A rate of the first moments would be far too high: all windows but the last count whole.
        let windows_least = i64::try_from(sampling.samples).unwrap_or(i64::MAX) - 1;
        let missing = (windows_least - elapsed / sampling.window_ms).max(0);
        let elapsed = elapsed.saturating_add(missing.saturating_mul(sampling.window_ms));
        value / (elapsed.max(1) as f64 / 1000.0)
    }

    /// Empties samples that saw nothing within the monitored time.
    fn forget(&mut self, now_ms: i64, sampling: Sampling) {
        let fresh = self.fresh(now_ms);
        let samples = i64::try_from(sampling.samples).unwrap_or(i64::MAX);
        let age_max = samples.saturating_mul(sampling.window_ms);
        for sample in self.samples.iter_mut().filter(|sample| now_ms.saturating_sub(sample.last_ms) >= age_max) {
            *sample = fresh;
        }
    }

    fn fresh(&self, now_ms: i64) -> Sample {
        let value = match self.combine {
            Combine::Count | Combine::Sum | Combine::Avg => 0.0,
            Combine::Min => f64::INFINITY,
            Combine::Max => f64::NEG_INFINITY,
        };
        Sample { value, events: 0, start_ms: now_ms, last_ms: now_ms }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "the same operations give the same bits")]

    use super::*;

    const SAMPLING: Sampling = Sampling { samples: 2, window_ms: 30_000 };

    #[test]
    fn the_first_moments_count_as_a_whole_window() {
        let mut rate = Sampled::new(Combine::Count);
        for now in 0..60 {
            rate.record(1.0, now, SAMPLING);
        }
        // As Kafka's: 60 in 30 s and 1 s.
        assert_eq!(rate.per_second(1_000, SAMPLING), 60.0 / 31.0);
    }

    #[test]
    fn samples_without_recent_values_are_forgotten() {
        let mut max = Sampled::new(Combine::Max);
        max.record(7.0, 0, SAMPLING);
        max.record(3.0, 30_000, SAMPLING);
        assert_eq!(max.measure(59_999, SAMPLING), 7.0);
        assert_eq!(max.measure(60_000, SAMPLING), 3.0);
        assert!(max.measure(90_000, SAMPLING).is_nan());
    }

    #[test]
    fn one_sample_more_than_asked_for_is_kept() {
        let mut sum = Sampled::new(Combine::Sum);
        for window in 0..4 {
            sum.record(1.0, window * 30_000, SAMPLING);
        }
        assert_eq!((sum.samples.len(), sum.measure(90_000, SAMPLING)), (3, 2.0));
    }
}
