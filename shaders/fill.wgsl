// One colour over a rectangle, mixed in by its alpha. A chroma sample at an odd edge is mixed by the
// share of its four pixels that lie inside.

fn fill(i: u32, at: vec2<i32>, below: Block) -> Block {
    let clip = items[i].clip;
    let color = unpack(items[i].color);
    let alpha = items[i].alpha;
    let left = columns_in(clip, at.x);
    let right = columns_in(clip, at.x + 4);
    let upper = row_in(clip, at.y);
    let lower = row_in(clip, at.y + 1);
    let share = pairs(left, right) * (upper + lower);
    return Block(
        mix_in(below.upper_left, color.x, left * (upper * alpha), 255u),
        mix_in(below.upper_right, color.x, right * (upper * alpha), 255u),
        mix_in(below.lower_left, color.x, left * (lower * alpha), 255u),
        mix_in(below.lower_right, color.x, right * (lower * alpha), 255u),
        mix_in(below.u, color.y, share * alpha, 1020u),
        mix_in(below.v, color.z, share * alpha, 1020u),
    );
}
