//! Who is let in where not everyone may be: by a token or by a certificate. Both are in files that are read again when
//! they change, and so is the certificate that a port shows itself.

mod door;
mod stamp;
pub mod tls;
pub mod tokens;

pub use door::{By, Denied, Door, Shown};
