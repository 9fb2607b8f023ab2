//! Inputs that once failed, and some that are as near to the edge as those: each a file of hexadecimal digits, with lines that
//! begin with `#` to say what it was. They are replayed at every run of the unit tests.

use super::run::Checked;
use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::path::Path;

const BYTES_A_LINE: usize = 40;

/// Hands every input of the target's folder to the check.
pub fn replay(target: &str, check: fn(&[u8]) -> Checked) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/fuzz/regressions")
        .join(target);
    let replayed = replay_folder(&folder, check).unwrap();
    assert!(replayed > 0, "{} has no inputs", folder.display());
}

fn replay_folder(folder: &Path, check: fn(&[u8]) -> Checked) -> anyhow::Result<usize> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.sort_unstable();
    for file in &files {
        let bytes = read(&fs::read_to_string(file)?).with_context(|| file.display().to_string())?;
        check(&bytes).with_context(|| format!("{} fails", file.display()))?;
    }
    Ok(files.len())
}

/// The bytes as a file has them.
pub fn written(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(BYTES_A_LINE).map(line).collect()
}

/// The bytes of a file, or of any line of hexadecimal digits.
pub fn read(text: &str) -> anyhow::Result<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<char> = lines
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    ensure!(digits.len().is_multiple_of(2), "half a byte at the end");
    let byte = |pair: &[char]| match (pair[0].to_digit(16), pair[1].to_digit(16)) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => bail!("no hexadecimal digits: {pair:?}"),
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::super::run::Verdict;
    use super::*;

    #[test]
    fn bytes_come_back_from_a_file() {
        for bytes in [&[][..], &[0, 0x16, 0xff], &[7; 1000]] {
            assert_eq!(
                read(&format!("# what it was\n{}", written(bytes))).unwrap(),
                bytes
            );
        }
        assert_eq!(read("01 02\n # 03").map_err(drop), Err(()));
        assert!(read("012").is_err());
    }

    #[test]
    fn an_input_that_fails_is_named_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("fine.hex"), "00").unwrap();
        fs::write(folder.path().join("short.hex"), "# too short\n").unwrap();
        let check = |bytes: &[u8]| {
            ensure!(!bytes.is_empty(), "nothing there");
            Ok(Verdict::Taken)
        };
        let error = format!("{:#}", replay_folder(folder.path(), check).unwrap_err());
        assert!(error.contains("short.hex fails: nothing there"), "{error}");
        assert!(replay_folder(&folder.path().join("none"), check).is_err());
    }
}
