//! Entry point of `sluice-operator`.

fn main() -> std::process::ExitCode {
    sluice_operator::from_command_line()
}
