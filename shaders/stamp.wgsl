// A colour through a coverage bitmap. A chroma sample takes the mean coverage of its four pixels.

fn stamp(i: u32, at: vec2<i32>, below: Block) -> Block {
    let clip = items[i].clip;
    let color = unpack(items[i].color);
    let alpha = items[i].alpha;
    let left = columns_in(clip, at.x);
    let right = columns_in(clip, at.x + 4);

    // Columns left of the bitmap reach at most 7 bytes before its row, and the upload starts with 8
    // bytes of nothing: every address is valid, and `left`, `right` drop what is not the bitmap's.
    let row = items[i].planes.x + u32(at.x - items[i].place.x);
    let stride = items[i].source.z;
    let upper_row = row + u32((clamp(at.y, clip.y, clip.w - 1) - items[i].place.y) * stride);
    let lower_row = row + u32((clamp(at.y + 1, clip.y, clip.w - 1) - items[i].place.y) * stride);
    let upper = row_in(clip, at.y);
    let lower = row_in(clip, at.y + 1);
    let upper_left = load_four(upper_row) * left * upper;
    let upper_right = load_four(upper_row + 4u) * right * upper;
    let lower_left = load_four(lower_row) * left * lower;
    let lower_right = load_four(lower_row + 4u) * right * lower;

    let around = pairs(upper_left, upper_right) + pairs(lower_left, lower_right);
    return Block(
        mix_in(below.upper_left, color.x, upper_left * alpha, 65025u),
        mix_in(below.upper_right, color.x, upper_right * alpha, 65025u),
        mix_in(below.lower_left, color.x, lower_left * alpha, 65025u),
        mix_in(below.lower_right, color.x, lower_right * alpha, 65025u),
        mix_in(below.u, color.y, around * alpha, 260100u),
        mix_in(below.v, color.z, around * alpha, 260100u),
    );
}
