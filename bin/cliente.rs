//! servidor
fn main() {}
