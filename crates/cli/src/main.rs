//! The binary `streamdex`: everything is in the library, so that its parts can be tested and documented.

fn main() -> std::process::ExitCode {
    streamdex::run(std::env::args_os())
}
