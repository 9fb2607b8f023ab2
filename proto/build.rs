//! Compiles the `.proto` files with a compiler written in Rust, so that a build needs no `protoc`.

use prost::Message as _;
use std::error::Error;
use std::path::PathBuf;

const ROOT: &str = "proto";
const FILES: [&str; 7] = [
    "apache/rocketmq/v2/definition.proto",
    "apache/rocketmq/v2/service.proto",
    "sluice/admin/v1/broker.proto",
    "sluice/admin/v1/clients.proto",
    "sluice/admin/v1/groups.proto",
    "sluice/admin/v1/messages.proto",
    "sluice/admin/v1/topics.proto",
];
/// Where the descriptors go, for server reflection.
const DESCRIPTORS: &str = "descriptors.bin";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let descriptors = protox::compile(FILES, [ROOT])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join(DESCRIPTORS), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // `Bytes` shares the receive buffer, so that a body is not copied when it is decoded.
        .bytes(".")
        // Constructors over a network would pull tonic's transport into every user of the types.
        .build_transport(false)
        .codec_path("crate::codec::BoundedCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
