//! The arithmetic of the network: products of small matrices and the two squashing functions, in single precision.
//!
//! Only sums, products, quotients and bits, in a fixed order and without calls: so results are the same each time, and
//! all loops run several lanes at once without unsafe code.

/// `c += a · b`, row by row: `a` is rows × `inner`, `b` is `inner` × `width`, `c` rows × `width`. Rows of `a` begin
/// `stride` apart.
pub(super) fn add_product(c: &mut [f32], width: usize, a: &[f32], stride: usize, inner: usize, b: &[f32]) {
    for (c, a) in c.chunks_exact_mut(width).zip(a.chunks(stride)) {
        add_row_product(c, &a[..inner.min(a.len())], b);
    }
}

/// `c += a · b` for one row `a`.
fn add_row_product(c: &mut [f32], a: &[f32], b: &[f32]) {
    let width = c.len();
    let fours = a.len() / 4 * 4;
    let (a_fours, a_rest) = a.split_at(fours);
    let (b_fours, b_rest) = b[..a.len() * width].split_at(fours * width);
    for (a, b) in a_fours.chunks_exact(4).zip(b_fours.chunks_exact(4 * width)) {
        add_four(c, [a[0], a[1], a[2], a[3]], b);
    }
    for (a, b) in a_rest.iter().zip(b_rest.chunks_exact(width)) {
        c.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
    }
}

/// `c += aᵀ · b`: `a` is rows × `inner`, `b` is rows × `width`, `c` is `inner` × `width`.
pub(super) fn add_transposed_product(c: &mut [f32], width: usize, a: &[f32], inner: usize, b: &[f32]) {
    let rows = a.len() / inner;
    let fours = rows / 4 * 4;
    for (k, c) in c.chunks_exact_mut(width).take(inner).enumerate() {
        let at = |row: usize| a[row * inner + k];
        for row in (0..fours).step_by(4) {
            let b = &b[row * width..(row + 4) * width];
            add_four(c, [at(row), at(row + 1), at(row + 2), at(row + 3)], b);
        }
        for row in fours..rows {
            let (a, b) = (at(row), &b[row * width..(row + 1) * width]);
            c.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
        }
    }
}

/// `c` plus four rows of `b`, each times its factor: four at once spare most of the loads and stores of `c`.
fn add_four(c: &mut [f32], [p, q, r, s]: [f32; 4], b: &[f32]) {
    let width = c.len();
    let (b0, rest) = b.split_at(width);
    let (b1, rest) = rest.split_at(width);
    let (b2, b3) = rest.split_at(width);
    let b3 = &b3[..width];
    for i in 0..width {
        c[i] += (p * b0[i] + q * b1[i]) + (r * b2[i] + s * b3[i]);
    }
}

/// `1 / (1 + e^-x)`, to some 1e-7.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, to some 2e-7.
pub(super) fn tanh(x: f32) -> f32 {
    2.0 / (1.0 + exp(-2.0 * x)) - 1.0
}

/// Adding it rounds to the nearest integer, which then stands in the lowest bits: 1.5 · 2²³.
const ROUNDER: f32 = 12_582_912.0;

/// `e^x` for |x| up to 87, beyond it as there: 2^k times a Taylor polynomial of what is left, under ln 2 / 2.
fn exp(x: f32) -> f32 {
    // ln 2 in two parts, so that k times the first is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let k = rounded - ROUNDER;
    let f = x - k * LN_2_HIGH - k * LN_2_LOW;
    let tail = 1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0)));
    let power = 1.0 + f * (1.0 + f * (0.5 + f * tail));
    f32::from_bits(power.to_bits().wrapping_add(rounded.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_squashing_functions_are_those_of_the_textbook() {
        for i in -4_000..=4_000 {
            let x = i as f32 * 0.025;
            let exact = f64::from(x);
            assert!((f64::from(tanh(x)) - exact.tanh()).abs() < 3e-7, "{x}");
            let exact = 1.0 / (1.0 + (-exact).exp());
            assert!((f64::from(sigmoid(x)) - exact).abs() < 2e-7, "{x}");
        }
    }

    #[test]
    fn products_agree_with_the_definition() {
        let value = |i: usize| ((i * 7_919) % 23) as f32 - 11.0;
        for (rows, inner, width) in [(1, 1, 1), (3, 5, 7), (6, 8, 4), (16, 9, 12)] {
            let a: Vec<f32> = (0..rows * inner).map(value).collect();
            let b: Vec<f32> = (0..inner * width).map(|i| value(i + 3)).collect();
            let mut c = vec![1.0; rows * width];
            add_product(&mut c, width, &a, inner, inner, &b);
            for (i, &found) in c.iter().enumerate() {
                let (row, column) = (i / width, i % width);
                let sum: f32 = (0..inner)
                    .map(|k| a[row * inner + k] * b[k * width + column])
                    .sum();
                assert_eq!(found, 1.0 + sum, "{rows} {inner} {width}");
            }
            let b: Vec<f32> = (0..rows * width).map(|i| value(i + 5)).collect();
            let mut c = vec![1.0; inner * width];
            add_transposed_product(&mut c, width, &a, inner, &b);
            for (i, &found) in c.iter().enumerate() {
                let (k, column) = (i / width, i % width);
                let sum: f32 = (0..rows)
                    .map(|row| a[row * inner + k] * b[row * width + column])
                    .sum();
                assert_eq!(found, 1.0 + sum, "{rows} {inner} {width}");
            }
        }
    }
}
