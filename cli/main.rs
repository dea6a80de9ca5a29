//! The program `vitrail`: one file per subcommand; arguments, wiring and printing, nothing else.

fn main() {}
