//! Entry point of `sluice-broker-faulty`: the broker with faults that its environment can switch on, for the proofs.

fn main() -> std::process::ExitCode {
    sluice_broker::run::from_command_line()
}
