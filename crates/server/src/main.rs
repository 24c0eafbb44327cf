//! The binary.

fn main() -> std::process::ExitCode {
    keygate_server::cli::run()
}
