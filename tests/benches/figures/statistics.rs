// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The little statistics that the figures need.

/// The value at this share of the ordered samples: 0.5 is the median.
pub fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut ordered = samples.to_vec();
    ordered.sort_by(f64::total_cmp);
    let place = (share * (ordered.len() - 1) as f64).round() as usize;
    ordered[place]
}

/// The middle one.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// Welch's t: how many standard errors the means of two series are apart.
pub fn welch_t(left: &[f64], right: &[f64]) -> f64 {
    let squared_error = |samples: &[f64]| variance(samples) / samples.len() as f64;
    (mean(left) - mean(right)) / (squared_error(left) + squared_error(right)).sqrt()
}

/// Both series without what took longer than this share of all samples. A small difference hides behind the few that were
/// interrupted, so that leaving them out makes the test sharper.
pub fn cropped(left: &[f64], right: &[f64], share: f64) -> (Vec<f64>, Vec<f64>) {
    let bound = quantile(&[left, right].concat(), share);
    let below = |samples: &[f64]| samples.iter().copied().filter(|sample| *sample <= bound).collect();
    (below(left), below(right))
}

fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

fn variance(samples: &[f64]) -> f64 {
    let mean = mean(samples);
    samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (samples.len() - 1) as f64
}
