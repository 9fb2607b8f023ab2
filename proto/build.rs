//! Compiles the `.proto` files with a compiler written in Rust, so that a build needs no `protoc`.

use std::error::Error;

const ROOT: &str = "proto";
const FILES: [&str; 2] = [
    "apache/rocketmq/v2/definition.proto",
    "apache/rocketmq/v2/service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let descriptors = protox::compile(FILES, [ROOT])?;
    tonic_prost_build::configure()
        // `Bytes` shares the receive buffer, so that a body is not copied when it is decoded.
        .bytes(".")
        // Constructors over a network would pull tonic's transport into every user of the types.
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
