//! Closed sets of words: the types and the reasons of conditions.

/// A word of a closed set, as it stands in a resource.
pub trait Word: Copy {
    /// The word.
    fn word(self) -> &'static str;
}

/// A word with what it means, for the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// The word.
    pub word: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// Declares an enum whose variants are words that stand in resources under their own names.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $(#[doc = $meaning:literal] $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $meaning] $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// All of them with what they mean.
            pub fn described() -> Vec<$crate::Described> {
                vec![$($crate::Described { word: stringify!($variant), meaning: $meaning.trim_ascii() },)+]
            }
        }

        impl $crate::Word for $name {
            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;
