//! The binary `streamdex`. All code is in the library, so that it can be tested and documented.

fn main() -> std::process::ExitCode {
    streamdex::run(std::env::args_os())
}
