//! Counts the instructions of the hot path, row by row, under valgrind. `scripts/instructions.sh`
//! runs it and compares the counts with `table.txt`; docs/BENCHMARKS.md explains the rows.

mod bank;
mod client;
mod disk;
mod rows;
mod transfers;
mod whole;

use gungraun::prelude::*;
use rows::parts;
use whole::wholes;

main!(library_benchmark_groups = [parts, wholes]);
