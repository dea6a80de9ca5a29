//! A set of pixels as disjoint rectangles: what a plan may change.

use crate::media::PixelRect;

/// Disjoint rectangles.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage {
    rects: Vec<PixelRect>,
}

impl Damage {
    /// Adds what is not in yet.
    pub(super) fn add(&mut self, rect: PixelRect) {
        let mut pieces = vec![rect];
        for known in &self.rects {
            pieces = pieces.iter().flat_map(|piece| subtract(piece, known)).collect();
        }
        self.rects.extend(pieces.into_iter().filter(|p| !p.is_empty()));
    }

    /// What is left of it outside `rects`.
    pub(super) fn without<'a>(&self, rects: impl Iterator<Item = &'a PixelRect>) -> Vec<PixelRect> {
        rects.fold(self.rects.clone(), |left, hole| {
            left.iter().flat_map(|piece| subtract(piece, hole)).collect()
        })
    }

    /// True where any pixel of `rect` is in it.
    pub(super) fn touches(&self, rect: &PixelRect) -> bool {
        self.rects.iter().any(|r| !r.intersect(rect).is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    pub(super) fn into_rects(self) -> Vec<PixelRect> {
        self.rects
    }
}

/// `piece` without `hole`: above, below, left and right of it.
pub(super) fn subtract(piece: &PixelRect, hole: &PixelRect) -> impl Iterator<Item = PixelRect> + use<> {
    let cut = piece.intersect(hole);
    let p = *piece;
    let parts = if cut.is_empty() {
        [p, PixelRect::default(), PixelRect::default(), PixelRect::default()]
    } else {
        [
            PixelRect::new(p.x, p.y, p.width, cut.y - p.y),
            PixelRect::new(p.x, cut.bottom(), p.width, p.bottom() - cut.bottom()),
            PixelRect::new(p.x, cut.y, cut.x - p.x, cut.height),
            PixelRect::new(cut.right(), cut.y, p.right() - cut.right(), cut.height),
        ]
    };
    parts.into_iter().filter(|r| !r.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rect() -> impl Strategy<Value = PixelRect> {
        (0u32..20, 0u32..20, 0u32..12, 0u32..12)
            .prop_map(|(x, y, w, h)| PixelRect::new(2 * x, 2 * y, 2 * w, 2 * h))
    }

    fn has(r: &PixelRect, x: u32, y: u32) -> bool {
        (r.x..r.right()).contains(&x) && (r.y..r.bottom()).contains(&y)
    }

    proptest! {
        #[test]
        fn it_is_the_union_and_disjoint(rects in prop::collection::vec(rect(), 0..8), holes in prop::collection::vec(rect(), 0..4)) {
            let mut damage = Damage::default();
            rects.iter().for_each(|r| damage.add(*r));
            let left = damage.without(holes.iter());
            for (x, y) in (0..70).flat_map(|y| (0..70).map(move |x| (x, y))) {
                let wanted = rects.iter().any(|r| has(r, x, y));
                prop_assert_eq!(damage.rects.iter().filter(|r| has(r, x, y)).count(), usize::from(wanted));
                let wanted = wanted && !holes.iter().any(|r| has(r, x, y));
                prop_assert_eq!(left.iter().filter(|r| has(r, x, y)).count(), usize::from(wanted));
            }
            prop_assert!(damage.rects.iter().all(|r| (r.x | r.y | r.width | r.height) % 2 == 0));
        }
    }
}
