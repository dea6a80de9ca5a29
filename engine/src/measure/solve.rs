//! Least squares with unknowns that are never negative: costs are not.

/// One measured point: `sum(terms[i] * x[i])` should be `value`.
#[derive(Clone, Debug)]
pub struct Point<const N: usize> {
    /// How often each unknown counts.
    pub terms: [f64; N],
    /// What was measured, above zero.
    pub value: f64,
}

/// The `x`, none negative, with the least sum of squared relative deviations. With the few unknowns
/// here every choice of which are zero is tried, so the answer is the best one.
pub fn least_squares<const N: usize>(points: &[Point<N>]) -> [f64; N] {
    // Relative, and each column in its own unit: pixels by the million beside ones.
    let mut scale = [0.0f64; N];
    for point in points {
        for (scale, term) in scale.iter_mut().zip(point.terms) {
            *scale = scale.max((term / point.value).abs());
        }
    }
    let rows: Vec<[f64; N]> = points
        .iter()
        .map(|p| std::array::from_fn(|i| if scale[i] > 0.0 { p.terms[i] / p.value / scale[i] } else { 0.0 }))
        .collect();
    let mut best = ([0.0; N], f64::INFINITY);
    for chosen in 0..1u32 << N {
        let Some(x) = solve(&rows, chosen) else { continue };
        if x.iter().any(|x| *x < 0.0) {
            continue;
        }
        let miss = |row: &[f64; N]| (row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() - 1.0).powi(2);
        let error: f64 = rows.iter().map(miss).sum();
        if error < best.1 {
            best = (x, error);
        }
    }
    std::array::from_fn(|i| if scale[i] > 0.0 { best.0[i] / scale[i] } else { 0.0 })
}

/// The unconstrained answer with only the chosen unknowns; `None` where the points do not tell.
fn solve<const N: usize>(rows: &[[f64; N]], chosen: u32) -> Option<[f64; N]> {
    let columns: Vec<usize> = (0..N).filter(|i| chosen >> i & 1 == 1).collect();
    let n = columns.len();
    // The normal equations, the right side as the last column.
    let mut m = vec![vec![0.0; n + 1]; n];
    for row in rows {
        for (i, &a) in columns.iter().enumerate() {
            for (j, &b) in columns.iter().enumerate() {
                m[i][j] += row[a] * row[b];
            }
            m[i][n] += row[a];
        }
    }
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()))?;
        m.swap(i, pivot);
        if m[i][i].abs() < 1e-12 {
            return None;
        }
        let lead = m[i].clone();
        for (k, row) in m.iter_mut().enumerate().filter(|(k, _)| *k != i) {
            debug_assert_ne!(k, i);
            let factor = row[i] / lead[i];
            row.iter_mut().zip(&lead).for_each(|(v, l)| *v -= factor * l);
        }
    }
    let mut x = [0.0; N];
    for (i, &column) in columns.iter().enumerate() {
        x[column] = m[i][n] / m[i][i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(x: [f64; 3], terms: &[[f64; 3]]) -> Vec<Point<3>> {
        let value = |t: &[f64; 3]| t.iter().zip(x).map(|(t, x)| t * x).sum();
        terms.iter().map(|t| Point { terms: *t, value: value(t) }).collect()
    }

    #[test]
    fn exact_points_give_their_costs_back() {
        let x = [2e-5, 1.5e-9, 4e-9];
        let terms = [[1.0, 57_600.0, 6e3], [1.0, 230_400.0, 3e4], [1.0, 2_073_600.0, 1e5], [1.0, 2e6, 3e5]];
        let got = least_squares(&points(x, &terms));
        for (got, x) in got.iter().zip(x) {
            assert!((got / x - 1.0).abs() < 1e-6, "{got} is not {x}");
        }
    }

    #[test]
    fn no_cost_is_negative() {
        // Falls with the third term: unconstrained, its cost would be negative.
        let falling = vec![
            Point { terms: [1.0, 1e6, 1e3], value: 2.0 },
            Point { terms: [1.0, 1e6, 9e3], value: 1.0 },
            Point { terms: [1.0, 2e6, 5e3], value: 3.0 },
        ];
        let got = least_squares(&falling);
        assert!(got.iter().all(|x| *x >= 0.0) && got[2] == 0.0, "{got:?}");
        assert_eq!(least_squares::<2>(&[]), [0.0, 0.0]);
    }
}
