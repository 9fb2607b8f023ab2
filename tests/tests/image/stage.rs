//! The image, built once, and a broker in a container of it.

use std::path::Path;
use std::sync::OnceLock;

use sluice_tests::container::{Container, Run};
use sluice_tests::image::Image;
use sluice_tests::{binaries, ports};

/// The user and group that the image runs as.
pub const USER: u32 = 65532;

/// Shared by all tests of the suite; what is in the image never changes.
pub fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let executables = [binaries::broker().unwrap(), binaries::sluicectl().unwrap()];
        Image::build(
            "broker-prebuilt",
            &executables,
            &[("REVISION", "0123456789abcdef")],
        )
        .unwrap()
    })
}

/// A broker in a container, on ports that nobody else has.
pub struct Broker {
    pub container: Container,
    pub grpc_port: u16,
    pub http_port: u16,
    admin_port: u16,
}

impl Broker {
    pub fn start(volume: Option<&Path>) -> Self {
        let [grpc_port, http_port, admin_port] = [(); 3].map(|()| ports::free().unwrap());
        let listen = |name: &str, port: u16| (name.to_owned(), format!("127.0.0.1:{port}"));
        let run = Run {
            environment: vec![
                listen("SLUICE_GRPC_LISTEN", grpc_port),
                listen("SLUICE_HTTP_LISTEN", http_port),
                listen("SLUICE_ADMIN_LISTEN", admin_port),
            ],
            volume: volume.map(Path::to_owned),
            ..Run::default()
        };
        Self {
            container: Container::start(image(), &run).unwrap(),
            grpc_port,
            http_port,
            admin_port,
        }
    }

    pub fn ready(volume: &Path) -> Self {
        let mut broker = Self::start(Some(volume));
        broker.container.wait_until_ready(broker.http_port).unwrap();
        broker
    }

    /// Runs the command line that is in the image, in the container.
    pub fn sluicectl(&self, arguments: &[&str]) -> String {
        let admin = format!("127.0.0.1:{}", self.admin_port);
        let arguments = [&["sluicectl", "--admin", &admin], arguments].concat();
        self.container.exec(&arguments).unwrap()
    }

    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.grpc_port)
    }
}
