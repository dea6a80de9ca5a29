//! `vitrail capacity measure`: the cost model of this machine.

use std::path::PathBuf;

use vitrail_engine::Result;
use vitrail_engine::effort::CostModel;
use vitrail_engine::measure::{Measured, measure};

use crate::print::print_json;
use crate::terminal::{Terminal, shown_path};

/// Measures each room by running it, half a minute to a minute on one core.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vitrail capacity measure
  vitrail capacity measure --out this-machine.json
  vitrail capacity plan --cost this-machine.json --camera 8000x640x360@12.5/h264@400k --show 64

Measure on an idle machine: other work makes caches cold and the result pessimistic.")]
pub struct Args {
    /// Keep the model here [default: $XDG_CACHE_HOME/vitrail/cost.json or ~/.cache/vitrail/cost.json]
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
    /// Print model and checks as JSON
    #[arg(long)]
    json: bool,
}

/// Measures, keeps and prints.
pub fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let status = terminal.status_line();
    let measured = measure(&mut |what, share| {
        status.set_message(format!("{:3.0} %  {what}", share * 100.0));
        status.tick();
    });
    status.finish_and_clear();
    let measured = measured?;
    let path = args.out.clone().unwrap_or_else(CostModel::default_path);
    measured.model.save(&path)?;
    if args.json {
        print_json("measurement", &measured)?;
    } else {
        print(&measured);
        println!("\nkept in {}", shown_path(&path));
    }
    Ok(())
}

fn print(measured: &Measured) {
    let m = &measured.model;
    println!("{}, {} cores, {}", m.machine.cpu, m.machine.cores, m.measured_at);
    println!("\nCPU time on one core:");
    for d in &m.decode {
        let what = |name: &str, c: &vitrail_engine::effort::cost::PictureCost| {
            println!(
                "  decode {:<12} {name:<10} {:7.1} µs + {:.2} ns/pixel + {:.2} ns/bit",
                d.codec.to_string(),
                c.picture_s * 1e6,
                c.pixel_s * 1e9,
                c.bit_s * 1e9
            );
        };
        what("key frame", &d.key);
        what("other", &d.other);
        println!(
            "  decode {:<12} without the loop filter {:.0} % of it",
            d.codec.to_string(),
            100.0 * d.without_loop_filter
        );
    }
    println!(
        "  fit    copy {:.3}; whole factors {:.3} ns/source + {:.2} ns/made pixel; others {:.2} + {:.2}",
        m.fit.copy_pixel_s * 1e9,
        m.fit.box_source_pixel_s * 1e9,
        m.fit.box_out_pixel_s * 1e9,
        m.fit.source_pixel_s * 1e9,
        m.fit.out_pixel_s * 1e9
    );
    println!(
        "  composite {:.2} µs a tile + {:.3} ns/pixel, copied out {:.3} ns/pixel",
        m.composite.redraw_s * 1e6,
        m.composite.pixel_s * 1e9,
        m.composite.copy_pixel_s * 1e9
    );
    for e in &m.encode {
        println!(
            "  encode {} {:<10} {:.2} ms + {:.2} ns/pixel",
            e.codec,
            e.preset,
            e.picture_s * 1e3,
            e.pixel_s * 1e9
        );
    }
    println!("  receive {:.1} µs a unit + {:.3} ns/bit", m.ingest.unit_s * 1e6, m.ingest.bit_s * 1e9);
    println!("\nChecked at points that had no part in the fit:");
    println!("  {:<11} {:<48} {:>11} {:>11} {:>7}", "room", "what", "predicted", "measured", "off by");
    for c in &measured.checks {
        println!(
            "  {:<11} {:<48} {:>8.3} ms {:>8.3} ms {:>+5.0} %",
            c.room,
            c.point,
            c.predicted_s * 1e3,
            c.measured_s * 1e3,
            100.0 * c.deviation()
        );
    }
}
