//! Reflection: tools such as grpcurl learn the calls of a port from the port.

use super::routes::Routes;
use tonic_reflection::server::{Builder, Error};

/// Both versions of reflection, over `more` and the services there are so far: tools still ask by the older one.
pub(super) fn over(routes: Routes, more: &[&'static str]) -> Result<Routes, Error> {
    let names: Vec<_> = more.iter().copied().chain(routes.names()).collect();
    let builder = || {
        let described = Builder::configure()
            .register_encoded_file_descriptor_set(sluice_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let names = names.iter().copied();
        names.fold(described, |builder, name| builder.with_service_name(name))
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    Ok(routes.with(v1).with(v1alpha))
}
