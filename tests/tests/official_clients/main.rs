//! The official clients, unmodified, against a real broker (P1): each test runs with each client that it names.
#![cfg(test)]

/// Makes a test of each function with each of the clients behind its name.
macro_rules! with_clients {
    (@ java) => { sluice_tests::driver::Language::Java };
    (@ python) => { sluice_tests::driver::Language::Python };
    (@ node) => { sluice_tests::driver::Language::Node };
    (@ go) => { sluice_tests::driver::Language::Go };
    (@ rust) => { sluice_tests::driver::Language::Rust };
    ($($name:ident: $($client:ident)+;)+) => {
        $(mod $name {
            $(#[test]
            fn $client() {
                super::$name(with_clients!(@ $client));
            })+
        })+
    };
}

mod asking;
mod consuming;
mod fifo;
mod page;
mod producing;
mod quirks;
mod reconnecting;
mod redelivery;
mod restarting;
mod sharing;
mod stage;
mod watching;
