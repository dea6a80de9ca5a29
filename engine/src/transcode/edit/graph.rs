//! A chain of libavfilter's filters on one thread. The description of a chain is made of numbers and
//! fixed names only: no text of a user ever reaches libavfilter's parser.

use ff::filter;
use ff::frame::Video;
use ffmpeg_next as ff;

use super::format::{PictureFormat, plain};
use super::frame_ffi;
use crate::base::{Error, ErrorKind, Result};

/// Takes finished pictures.
pub(super) type Out<'a> = &'a mut dyn FnMut(Video) -> Result<()>;

/// Ticks a second that a graph counts in. No filter here looks at times; some double them, with half
/// the tick, and this one can always be halved.
const TICKS: i32 = 1_000_000;

/// Pictures go in on one side and come out on the other with the times they had.
pub(super) struct Graph {
    graph: filter::Graph,
    /// How often a tick of the sink goes into one of the source.
    finer: i64,
}

impl Graph {
    /// `chain` in libavfilter's syntax, for pictures of `from`.
    pub fn new(from: &PictureFormat, chain: &str) -> Result<Graph> {
        let mut graph = filter::Graph::new();
        frame_ffi::single_threaded(&mut graph);
        let pixel = plain(from.pixel).descriptor().map_or("", |descriptor| descriptor.name());
        let (width, height, aspect) = (from.width, from.height, from.pixel_aspect);
        let source = format!(
            "video_size={width}x{height}:pix_fmt={pixel}:time_base=1/{TICKS}:pixel_aspect={}/{}",
            aspect.num, aspect.den
        );
        let failed = |e: ff::Error| {
            let message = format!("libavfilter refuses {chain} for {width}x{height} {pixel}");
            Error::new(ErrorKind::Internal, "edit", message).caused_by(e)
        };
        graph.add(&named("buffer")?, "in", &source).map_err(failed)?;
        graph.add(&named("buffersink")?, "out", "").map_err(failed)?;
        let parser = graph.output("in", 0).and_then(|parser| parser.input("out", 0)).map_err(failed)?;
        parser.parse(chain).map_err(failed)?;
        graph.validate().map_err(failed)?;
        let mut sink = graph.get("out").ok_or_else(|| lost("out"))?;
        let tick = sink.sink().time_base();
        let finer = i64::from(tick.denominator()) / i64::from(TICKS) / i64::from(tick.numerator().max(1));
        Ok(Graph { graph, finer: finer.max(1) })
    }

    /// One picture in; those that are ready come out.
    pub fn push(&mut self, mut frame: Video, out: Out<'_>) -> Result<()> {
        frame.set_format(plain(frame.format()));
        let mut source = self.graph.get("in").ok_or_else(|| lost("in"))?;
        source.source().add(&frame).map_err(refused)?;
        self.drain(out)
    }

    /// The rest comes out.
    pub fn finish(mut self, out: Out<'_>) -> Result<()> {
        let mut source = self.graph.get("in").ok_or_else(|| lost("in"))?;
        source.source().flush().map_err(refused)?;
        self.drain(out)
    }

    fn drain(&mut self, out: Out<'_>) -> Result<()> {
        let mut sink = self.graph.get("out").ok_or_else(|| lost("out"))?;
        loop {
            let mut frame = Video::empty();
            match sink.sink().frame(&mut frame) {
                Ok(()) => {
                    let pts = frame.pts().map(|pts| pts / self.finer);
                    frame.set_pts(pts);
                    out(frame)?;
                }
                Err(ff::Error::Eof) => return Ok(()),
                Err(ff::Error::Other { errno: ff::error::EAGAIN }) => return Ok(()),
                Err(e) => return Err(refused(e)),
            }
        }
    }
}

fn named(name: &'static str) -> Result<filter::Filter> {
    filter::find(name).ok_or_else(|| {
        let message = format!("libavfilter here has no filter {name}; install FFmpeg's full libavfilter");
        Error::new(ErrorKind::Missing, "edit", message)
    })
}

fn lost(name: &'static str) -> Error {
    Error::new(ErrorKind::Internal, "edit", format!("the filter {name} is not in its graph"))
}

fn refused(e: ff::Error) -> Error {
    Error::new(ErrorKind::Internal, "edit", "libavfilter refuses a picture").caused_by(e)
}
