// The frame of the GPU compositor: what is bound, and the one entry point, which carries a block of
// the canvas through every draw that touches it, in the plan's order, in registers.
//
// fill.wgsl, picture.wgsl and stamp.wgsl follow in the same module, one function a draw.
//
// A block is 8 by 2 pixels: two words of luma in each row, one word of each chroma plane. Blocks share
// no word, so no invocation waits for another and none sees another's half-drawn pixels.

struct Canvas {
    // In words of four samples.
    luma_stride: u32,
    chroma_stride: u32,
    u_base: u32,
    v_base: u32,
    bins: u32,
    height: u32,
}

struct Item {
    // Left, top, right, bottom: the part of the draw within one rectangle of the damage.
    clip: vec4<i32>,
    // Fill 0, picture copied 1, picture scaled 2, stamp 3.
    kind: u32,
    alpha: u32,
    // Y, U, V from the lowest byte up.
    color: u32,
    // 1 where the picture's colours differ from the canvas's.
    convert: u32,
    // Left, top, width, height of the whole picture or stamp on the canvas.
    place: vec4<i32>,
    // Width and height of the source in pixels; bytes from a row to the next, luma and chroma.
    source: vec4<i32>,
    // Byte offsets of Y, U, V; bytes from a chroma sample to the next.
    planes: vec4<u32>,
    // Rows of the colour conversion: weights of Y, U, V, and what is added.
    to_y: vec4<f32>,
    to_u: vec4<f32>,
    to_v: vec4<f32>,
}

@group(0) @binding(0) var<uniform> canvas: Canvas;
@group(0) @binding(1) var<storage, read_write> samples: array<u32>;
@group(0) @binding(2) var<storage, read> pixels: array<u32>;
@group(0) @binding(3) var<storage, read> items: array<Item>;
// First a `Bin` of four words for each workgroup: column, row, first, count; then the items' numbers.
@group(0) @binding(4) var<storage, read> bins: array<u32>;

struct Block {
    upper_left: vec4<u32>,
    upper_right: vec4<u32>,
    lower_left: vec4<u32>,
    lower_right: vec4<u32>,
    u: vec4<u32>,
    v: vec4<u32>,
}

// What a draw wants of a block: its luma and chroma as numbers, not yet rounded.
struct Source {
    upper_left: vec4<f32>,
    upper_right: vec4<f32>,
    lower_left: vec4<f32>,
    lower_right: vec4<f32>,
    u: vec4<f32>,
    v: vec4<f32>,
}

fn unpack(word: u32) -> vec4<u32> {
    return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
}

fn pack(bytes: vec4<u32>) -> u32 {
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}

// One byte of the upload.
fn load(at: u32) -> u32 {
    return (pixels[at >> 2u] >> ((at & 3u) * 8u)) & 255u;
}

// Four bytes of the upload from any offset.
fn load_four(at: u32) -> vec4<u32> {
    let word = at >> 2u;
    let shift = (at & 3u) * 8u;
    if shift == 0u {
        return unpack(pixels[word]);
    }
    return unpack((pixels[word] >> shift) | (pixels[word + 1u] << (32u - shift)));
}

// 1 for each of the four columns from `x` that lies in the clip.
fn columns_in(clip: vec4<i32>, x: i32) -> vec4<u32> {
    let column = vec4<i32>(x) + vec4<i32>(0, 1, 2, 3);
    return select(
        vec4<u32>(0u),
        vec4<u32>(1u),
        (column >= vec4<i32>(clip.x)) & (column < vec4<i32>(clip.z)),
    );
}

fn row_in(clip: vec4<i32>, y: i32) -> u32 {
    return select(0u, 1u, y >= clip.y && y < clip.w);
}

// The sums of horizontal pairs: what the four chroma samples of a block have above or below them.
fn pairs(left: vec4<u32>, right: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(left.x + left.y, left.z + left.w, right.x + right.y, right.z + right.w);
}

// `weight / whole` of the colour over what is below, rounded to nearest. Integers: the same on every device.
fn mix_in(below: vec4<u32>, color: u32, weight: vec4<u32>, whole: u32) -> vec4<u32> {
    return (below * (vec4<u32>(whole) - weight) + color * weight + whole / 2u) / whole;
}

@compute @workgroup_size(8, 8)
fn draw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let bin = group.x + group.y * groups.x;
    if bin >= canvas.bins {
        return;
    }
    let block_x = bins[bin * 4u] * 8u + local.x;
    let block_y = bins[bin * 4u + 1u] * 8u + local.y;
    if block_x >= canvas.chroma_stride || block_y * 2u >= canvas.height {
        return;
    }
    let first = bins[bin * 4u + 2u];
    let last = first + bins[bin * 4u + 3u];
    let at = vec2<i32>(i32(block_x * 8u), i32(block_y * 2u));

    let upper = block_y * 2u * canvas.luma_stride + block_x * 2u;
    let lower = upper + canvas.luma_stride;
    let chroma = block_y * canvas.chroma_stride + block_x;
    var block = Block(
        unpack(samples[upper]),
        unpack(samples[upper + 1u]),
        unpack(samples[lower]),
        unpack(samples[lower + 1u]),
        unpack(samples[canvas.u_base + chroma]),
        unpack(samples[canvas.v_base + chroma]),
    );

    for (var n = first; n < last; n++) {
        let i = bins[n];
        let clip = items[i].clip;
        if clip.x >= at.x + 8 || clip.z <= at.x || clip.y >= at.y + 2 || clip.w <= at.y {
            continue;
        }
        switch items[i].kind {
            case 0u: { block = fill(i, at, block); }
            case 1u: { block = picture(i, at, block, copied(i, at)); }
            case 2u: { block = picture(i, at, block, scaled(i, at)); }
            default: { block = stamp(i, at, block); }
        }
    }

    samples[upper] = pack(block.upper_left);
    samples[upper + 1u] = pack(block.upper_right);
    samples[lower] = pack(block.lower_left);
    samples[lower + 1u] = pack(block.lower_right);
    samples[canvas.u_base + chroma] = pack(block.u);
    samples[canvas.v_base + chroma] = pack(block.v);
}
