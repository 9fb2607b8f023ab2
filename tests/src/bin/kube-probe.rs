//! A program for pods of the tests: it is an image's only one, and says what it sees.

#![forbid(unsafe_code)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use sluice_tests::kube::processes;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["say", text] => {
            println!("{text}");
            Ok(())
        }
        ["write", file, text] => std::fs::write(file, text),
        ["read", file] => std::fs::read_to_string(file).map(|text| print!("{text}")),
        ["serve", port] => serve(port),
        ["ask", address] => ask(address),
        ["kill", pod_uid, program] => processes::kill(pod_uid, program).map_err(std::io::Error::other),
        _ => {
            eprintln!(
                "usage: kube-probe say TEXT | write FILE TEXT | read FILE | serve PORT | ask HOST:PORT | kill POD_UID PROGRAM"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{arguments:?}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells everyone who connects the name of this pod.
fn serve(port: &str) -> std::io::Result<()> {
    let name = std::env::var("HOSTNAME").unwrap_or_default();
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    loop {
        let (mut stream, _) = listener.accept()?;
        // Whoever only looks whether somebody listens, as a probe does, is gone by now.
        let _ = writeln!(stream, "{name}");
    }
}

/// Prints what it is told there, the name being looked up in DNS.
fn ask(address: &str) -> std::io::Result<()> {
    let mut answer = String::new();
    TcpStream::connect(address)?.read_to_string(&mut answer)?;
    print!("{answer}");
    Ok(())
}
