//! Entry point of `sluicectl`.

fn main() -> std::process::ExitCode {
    sluice_cli::from_command_line()
}
