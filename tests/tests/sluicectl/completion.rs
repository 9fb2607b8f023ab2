//! Help and completion.

use sluice_tests::sluicectl::Sluicectl;

#[test]
fn completion_scripts_are_made_for_every_shell() {
    let sluicectl = Sluicectl::new().unwrap();
    for (shell, part) in [
        ("bash", "complete -F _sluicectl"),
        ("zsh", "#compdef sluicectl"),
        ("fish", "complete -c sluicectl"),
        ("elvish", "sluicectl"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = sluicectl.ok(&["completion", shell]).unwrap();
        assert!(script.contains(part) && script.contains("reset"), "{shell}");
    }
}

#[test]
fn the_script_for_bash_completes_in_bash() {
    let sluicectl = Sluicectl::new().unwrap();
    let script = sluicectl.home().join("completion");
    std::fs::write(&script, sluicectl.ok(&["completion", "bash"]).unwrap()).unwrap();
    let asking = "source completion; COMP_WORDS=(sluicectl topic cr); COMP_CWORD=2; \
                  _sluicectl sluicectl cr topic; echo \"${COMPREPLY[@]}\"";
    let bash = std::process::Command::new("bash")
        .args(["-c", asking])
        .current_dir(sluicectl.home())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "create");
}

#[test]
fn an_output_that_takes_nothing_is_a_failure_and_one_that_nobody_reads_is_none() {
    let sluicectl = Sluicectl::new().unwrap();
    for arguments in [
        &["completion", "bash"][..],
        &["--help"],
        &["--version"],
        &["context", "list"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let said = sluicectl.run_onto(arguments, full).unwrap();
        assert_eq!(said.code, 1, "{arguments:?}: {said:?}");
        assert!(
            said.stderr
                .starts_with("error: cannot write to standard output: "),
            "{arguments:?}: {said:?}"
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = sluicectl.run_onto(arguments, writer).unwrap();
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let sluicectl = Sluicectl::new().unwrap();
    let help = sluicectl.ok(&["--help"]).unwrap();
    for part in [
        "Examples:",
        "Exit codes:",
        "sluicectl topic create orders --queues 8",
        "5 no broker answers",
    ] {
        assert!(help.contains(part), "{part}");
    }
    let help = sluicectl.ok(&["group", "reset", "--help"]).unwrap();
    assert!(
        help.contains("Examples:") && help.contains("--to time:-1h --yes"),
        "{help}"
    );
    assert_eq!(sluicectl.ok(&["--version"]).unwrap().trim(), "sluicectl 0.1.0");
}
