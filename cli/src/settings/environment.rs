//! What the environment says: read once, and passed on as values.

use std::path::PathBuf;

/// The variables that mean something here. One that is set to nothing is not set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `SLUICE_ADMIN`
    pub admin: Option<String>,
    /// `SLUICE_CONTEXT`
    pub context: Option<String>,
    /// `SLUICE_TOKEN`
    pub token: Option<String>,
    /// Where the contexts are; `None` if there is no home either.
    pub config: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        Self::from(|name| std::env::var(name).ok())
    }

    fn from(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let folder = variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")));
        let config = variable("SLUICECTL_CONFIG")
            .map(PathBuf::from)
            .or_else(|| folder.map(|folder| folder.join("sluice").join("config.yaml")));
        Self {
            admin: variable("SLUICE_ADMIN"),
            context: variable("SLUICE_CONTEXT"),
            token: variable("SLUICE_TOKEN"),
            config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name);
        Environment::from(|name| find(name).map(|(_, value)| (*value).to_owned())).config
    }

    #[test]
    fn the_file_of_contexts_is_where_the_environment_says() {
        for (variables, path) in [
            (&[("HOME", "/h")][..], "/h/.config/sluice/config.yaml"),
            (
                &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")],
                "/x/sluice/config.yaml",
            ),
            (
                &[("HOME", "/h"), ("XDG_CONFIG_HOME", "")],
                "/h/.config/sluice/config.yaml",
            ),
            (&[("HOME", "/h"), ("SLUICECTL_CONFIG", "here.yaml")], "here.yaml"),
        ] {
            assert_eq!(config(variables), Some(PathBuf::from(path)), "{variables:?}");
        }
        assert_eq!(config(&[]), None);
    }
}
