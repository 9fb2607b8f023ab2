//! The flags of the port for alerts.

use clap::Args;
use sluice_access::tls::TlsFiles;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Whether and how alerts are taken.
#[derive(Args, Clone, Debug)]
pub struct WebhookArgs {
    /// Take notifications of an Alertmanager on this address, as POST /v4/alerts: an alert that names a consumer group has
    /// its replicas looked at now. Off the loopback interface, with --webhook-token-file or --webhook-client-ca
    #[arg(long, env = "SLUICE_OPERATOR_WEBHOOK_LISTEN", value_name = "HOST:PORT")]
    webhook_listen: Option<SocketAddr>,
    /// Let in who sends `authorization: Bearer TOKEN` with the token in this file, or with one of two, a line each; the file is
    /// read again when it changes
    #[arg(long, env = "SLUICE_OPERATOR_WEBHOOK_TOKEN_FILE", value_name = "FILE")]
    webhook_token_file: Option<PathBuf>,
    /// Take TLS there, and nothing else, with this certificate in PEM; read again when it changes
    #[arg(long, env = "SLUICE_OPERATOR_WEBHOOK_TLS_CERT", value_name = "FILE")]
    webhook_tls_cert: Option<PathBuf>,
    /// The certificate's key in PEM
    #[arg(long, env = "SLUICE_OPERATOR_WEBHOOK_TLS_KEY", value_name = "FILE")]
    webhook_tls_key: Option<PathBuf>,
    /// Let in who shows a certificate that one of those in this file has signed; needs the two flags above, and is read again when
    /// it changes
    #[arg(long, env = "SLUICE_OPERATOR_WEBHOOK_CLIENT_CA", value_name = "FILE")]
    webhook_client_ca: Option<PathBuf>,
}

/// A port for alerts, and who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarding {
    /// Where it is.
    pub listen: SocketAddr,
    /// The tokens.
    pub token_file: Option<PathBuf>,
    /// The certificate; without, the port speaks plaintext.
    pub tls: Option<TlsFiles>,
    /// Who signs the clients' certificates.
    pub client_ca: Option<PathBuf>,
}

impl WebhookArgs {
    /// Checks them against each other. Nothing where no alerts are taken.
    ///
    /// # Errors
    /// A sentence that names the flags that do not go together.
    pub fn check(self) -> Result<Option<Guarding>, String> {
        let given = [
            ("--webhook-token-file", self.webhook_token_file.is_some()),
            ("--webhook-tls-cert", self.webhook_tls_cert.is_some()),
            ("--webhook-tls-key", self.webhook_tls_key.is_some()),
            ("--webhook-client-ca", self.webhook_client_ca.is_some()),
        ];
        let Some(listen) = self.webhook_listen else {
            return match given.into_iter().find(|(_, given)| *given) {
                None => Ok(None),
                Some((flag, _)) => Err(format!(
                    "{flag} is for the port of --webhook-listen, which is not given: give both or neither"
                )),
            };
        };
        let tls = match (self.webhook_tls_cert, self.webhook_tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err("--webhook-tls-cert needs --webhook-tls-key".to_owned()),
            (None, Some(_)) => return Err("--webhook-tls-key needs --webhook-tls-cert".to_owned()),
        };
        if self.webhook_client_ca.is_some() && tls.is_none() {
            return Err(
                "--webhook-client-ca needs --webhook-tls-cert and --webhook-tls-key: certificates are shown over TLS"
                    .to_owned(),
            );
        }
        let guarded = self.webhook_token_file.is_some() || self.webhook_client_ca.is_some();
        if !guarded && !listen.ip().to_canonical().is_loopback() {
            return Err(format!(
                "--webhook-listen {listen} can be reached from other hosts, so that it has to ask who calls: give --webhook-token-file, \
                 or --webhook-client-ca with a certificate, or listen on 127.0.0.1"
            ));
        }
        Ok(Some(Guarding {
            listen,
            token_file: self.webhook_token_file,
            tls,
            client_ca: self.webhook_client_ca,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        webhook: WebhookArgs,
    }

    fn check(flags: &str) -> Result<Option<Guarding>, String> {
        let line = ["run"].into_iter().chain(flags.split_whitespace());
        Line::try_parse_from(line).unwrap().webhook.check()
    }

    #[test]
    fn without_an_address_there_is_no_port_and_on_the_loopback_interface_nobody_is_asked() {
        assert_eq!(check(""), Ok(None));
        for address in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let found = check(&format!("--webhook-listen {address}")).unwrap().unwrap();
            assert_eq!(found.listen, address.parse().unwrap());
            assert_eq!((found.token_file, found.tls, found.client_ca), (None, None, None));
        }
        let all = "--webhook-listen 0.0.0.0:1 --webhook-token-file t --webhook-tls-cert c --webhook-tls-key k --webhook-client-ca a";
        let found = check(all).unwrap().unwrap();
        assert_eq!(found.tls.unwrap().key, PathBuf::from("k"));
        assert!(check("--webhook-listen 0.0.0.0:1 --webhook-token-file t").is_ok());
    }

    #[test]
    fn what_does_not_go_together_or_is_open_to_all_is_refused_with_what_to_do() {
        for (flags, named) in [
            (
                "--webhook-token-file t",
                "--webhook-token-file is for the port of --webhook-listen",
            ),
            ("--webhook-client-ca t", "--webhook-client-ca is for"),
            (
                "--webhook-listen 127.0.0.1:1 --webhook-tls-cert c",
                "--webhook-tls-cert needs --webhook-tls-key",
            ),
            (
                "--webhook-listen 127.0.0.1:1 --webhook-tls-key k",
                "--webhook-tls-key needs --webhook-tls-cert",
            ),
            (
                "--webhook-listen 127.0.0.1:1 --webhook-client-ca a",
                "--webhook-client-ca needs --webhook-tls-cert",
            ),
            (
                "--webhook-listen 0.0.0.0:1",
                "give --webhook-token-file, or --webhook-client-ca",
            ),
            (
                "--webhook-listen [::]:1 --webhook-tls-cert c --webhook-tls-key k",
                "[::]:1 can be reached",
            ),
        ] {
            let refusal = check(flags).unwrap_err();
            assert!(refusal.contains(named), "{flags}: {refusal}");
        }
    }
}
