// A picture: copied where the sizes are equal, else resampled on each axis for itself (exact area
// average where it shrinks, linear where it grows), then its colours converted.

// The samples under a block of a picture of the same size. Only the clipped part was uploaded, so
// offsets count from the clip's corner. As in stamp.wgsl, columns outside it read what is dropped later.
fn copied(i: u32, at: vec2<i32>) -> Source {
    let clip = items[i].clip;
    let source = items[i].source;
    let planes = items[i].planes;
    let x = at.x - clip.x;
    let upper = clamp(at.y, clip.y, clip.w - 1) - clip.y;
    let lower = clamp(at.y + 1, clip.y, clip.w - 1) - clip.y;
    let upper_at = planes.x + u32(upper * source.z + x);
    let lower_at = planes.x + u32(lower * source.z + x);
    var out: Source;
    out.upper_left = vec4<f32>(load_four(upper_at));
    out.upper_right = vec4<f32>(load_four(upper_at + 4u));
    out.lower_left = vec4<f32>(load_four(lower_at));
    out.lower_right = vec4<f32>(load_four(lower_at + 4u));
    // `x` is even and may be negative: the shift keeps its sign.
    let chroma = u32((upper / 2) * source.w + (x >> 1u) * i32(planes.w));
    if planes.w == 1u {
        out.u = vec4<f32>(load_four(planes.y + chroma));
        out.v = vec4<f32>(load_four(planes.z + chroma));
    } else {
        let first = load_four(planes.y + chroma);
        let second = load_four(planes.y + chroma + 4u);
        out.u = vec4<f32>(vec4<u32>(first.xz, second.xz));
        out.v = vec4<f32>(vec4<u32>(first.yw, second.yw));
    }
    return out;
}

// What of one axis of the source makes one sample: samples first to last, and their weights, all in
// whole numbers, so that no weight is rounded.
struct Taps {
    first: i32,
    last: i32,
    // Shrinking: the footprint, in shares of 1 / width of the destination. Growing: the centre, twice.
    begin: i32,
    end: i32,
    unit: i32,
    grows: bool,
}

// Sample `n` of a destination axis of `to` pixels, made from a source axis of `size` pixels, in a
// plane of `len` samples. A chroma axis has the same ratio as its luma axis: an odd size ends in half
// a chroma sample.
fn taps_of(n: i32, size: i32, to: i32, len: i32) -> Taps {
    if size >= to {
        let begin = n * size;
        return Taps(begin / to, min((begin + size - 1) / to, len - 1), begin, begin + size, to, false);
    }
    let centre = clamp((2 * n + 1) * size - to, 0, (len - 1) * 2 * to);
    let first = centre / (2 * to);
    return Taps(first, min(first + 1, len - 1), centre, centre, 2 * to, true);
}

fn weight_of(taps: Taps, k: i32) -> i32 {
    if taps.grows {
        return taps.unit - abs(k * taps.unit - taps.begin);
    }
    return min(taps.end, (k + 1) * taps.unit) - max(taps.begin, k * taps.unit);
}

// One sample of a plane that starts at byte `base`.
fn resample(base: u32, stride: i32, step: i32, across: Taps, down: Taps) -> f32 {
    var sum = 0.0;
    var whole = 0.0;
    for (var row = down.first; row <= down.last; row++) {
        let row_at = base + u32(row * stride);
        var row_sum = 0;
        var row_whole = 0;
        for (var column = across.first; column <= across.last; column++) {
            let weight = weight_of(across, column);
            row_sum += i32(load(row_at + u32(column * step))) * weight;
            row_whole += weight;
        }
        let weight = f32(weight_of(down, row));
        sum += f32(row_sum) * weight;
        whole += f32(row_whole) * weight;
    }
    return sum / whole;
}

// Four samples side by side. Those outside the picture take its edge, and are dropped later.
fn resample_four(base: u32, stride: i32, step: i32, n: vec2<i32>, size: vec2<i32>, to: vec2<i32>, len: vec2<i32>, count: vec2<i32>) -> vec4<f32> {
    let down = taps_of(clamp(n.y, 0, count.y - 1), size.y, to.y, len.y);
    var out = vec4<f32>(0.0);
    for (var lane = 0; lane < 4; lane++) {
        let across = taps_of(clamp(n.x + lane, 0, count.x - 1), size.x, to.x, len.x);
        out[lane] = resample(base, stride, step, across, down);
    }
    return out;
}

fn scaled(i: u32, at: vec2<i32>) -> Source {
    let source = items[i].source;
    let planes = items[i].planes;
    let size = source.xy;
    let to = items[i].place.zw;
    let n = at - items[i].place.xy;
    let step = i32(planes.w);
    let half_len = (size + 1) / 2;
    let half_count = (to + 1) / 2;
    // Arithmetic shift: rounds down, also left of the picture.
    let half_n = n >> vec2<u32>(1u);
    var out: Source;
    out.upper_left = resample_four(planes.x, source.z, 1, n, size, to, size, to);
    out.upper_right = resample_four(planes.x, source.z, 1, n + vec2<i32>(4, 0), size, to, size, to);
    out.lower_left = resample_four(planes.x, source.z, 1, n + vec2<i32>(0, 1), size, to, size, to);
    out.lower_right = resample_four(planes.x, source.z, 1, n + vec2<i32>(4, 1), size, to, size, to);
    out.u = resample_four(planes.y, source.w, step, half_n, size, to, half_len, half_count);
    out.v = resample_four(planes.z, source.w, step, half_n, size, to, half_len, half_count);
    return out;
}

// A conversion to the canvas's colours. Luma takes the chroma of its block of four; chroma depends on
// chroma alone, because grey is grey in every matrix.
fn converted(i: u32, was: Source) -> Source {
    let to_y = items[i].to_y;
    let to_u = items[i].to_u;
    let to_v = items[i].to_v;
    let shift = was.u * to_y.y + was.v * to_y.z + to_y.w;
    return Source(
        was.upper_left * to_y.x + shift.xxyy,
        was.upper_right * to_y.x + shift.zzww,
        was.lower_left * to_y.x + shift.xxyy,
        was.lower_right * to_y.x + shift.zzww,
        was.u * to_u.y + was.v * to_u.z + to_u.w,
        was.u * to_v.y + was.v * to_v.z + to_v.w,
    );
}

// To the nearest byte where `inside` is not 0.
fn put(below: vec4<u32>, value: vec4<f32>, inside: vec4<u32>) -> vec4<u32> {
    let byte = vec4<u32>(clamp(floor(value + 0.5), vec4<f32>(0.0), vec4<f32>(255.0)));
    return select(below, byte, inside != vec4<u32>(0u));
}

fn picture(i: u32, at: vec2<i32>, below: Block, drawn: Source) -> Block {
    let clip = items[i].clip;
    var source = drawn;
    if items[i].convert == 1u {
        source = converted(i, source);
    }
    let left = columns_in(clip, at.x);
    let right = columns_in(clip, at.x + 4);
    let upper = row_in(clip, at.y);
    let lower = row_in(clip, at.y + 1);
    let around = pairs(left, right) * (upper + lower);
    return Block(
        put(below.upper_left, source.upper_left, left * upper),
        put(below.upper_right, source.upper_right, right * upper),
        put(below.lower_left, source.lower_left, left * lower),
        put(below.lower_right, source.lower_right, right * lower),
        put(below.u, source.u, around),
        put(below.v, source.v, around),
    );
}
