//! Says how many spins take 1 ms on the core that it runs on.

fn main() {
    println!("{}", bench_peers::overload::Spins::calibrate().0);
}
