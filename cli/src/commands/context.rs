//! `sluicectl context …`: the file of contexts, and nothing else.

use super::{Outcome, shown};
use crate::args::{ContextCommand, Global};
use crate::failure::{Failure, Kind};
use crate::output::{Align, Done, Fields, Show, Table};
use crate::settings::{ADMIN_DEFAULT, Address, Context, Contexts};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Does what the command asks for with the contexts there are.
///
/// # Errors
/// When a context is not there, or the file cannot be written.
pub fn run(command: &ContextCommand, global: &Global, contexts: Contexts) -> Outcome {
    match command {
        ContextCommand::List => shown(list(&contexts)),
        ContextCommand::Use { name } => use_context(contexts, name),
        ContextCommand::Set { name, anew } => set(contexts, name, *anew, global),
        ContextCommand::Show { name } => show(&contexts, name.as_deref().or(global.context.as_deref())),
        ContextCommand::Delete { name } => delete(contexts, name),
    }
}

/// A context with its name.
#[derive(Debug, Serialize)]
struct Named {
    name: String,
    current: bool,
    #[serde(flatten)]
    context: Context,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct List(Vec<Named>);

fn list(contexts: &Contexts) -> List {
    let named = contexts.all().map(|(name, context)| Named {
        name: name.to_owned(),
        current: contexts.current_name() == Some(name),
        context: context.clone(),
    });
    List(named.collect())
}

impl Named {
    fn tls(&self) -> &'static str {
        match &self.context {
            context if context.insecure_skip_verify => "unverified",
            context if context.tls || context.ca.is_some() || context.cert.is_some() => "yes",
            _ => "no",
        }
    }

    fn admin(&self) -> String {
        self.context
            .admin
            .clone()
            .unwrap_or_else(|| ADMIN_DEFAULT.to_owned())
    }
}

fn path(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

impl Show for List {
    fn text(&self, wide: bool) -> String {
        let mut columns = vec![
            ("IN USE", Align::Left),
            ("NAME", Align::Left),
            ("ADMIN", Align::Left),
            ("TLS", Align::Left),
        ];
        if wide {
            columns.extend([("ENDPOINT", Align::Left), ("TOKEN FILE", Align::Left)]);
        }
        let mut table = Table::new(
            "no contexts: `sluicectl context set NAME --admin HOST:PORT` makes one",
            &columns,
        );
        for named in &self.0 {
            let current = if named.current { "*" } else { " " };
            let mut row = vec![
                current.to_owned(),
                named.name.clone(),
                named.admin(),
                named.tls().to_owned(),
            ];
            if wide {
                row.extend([
                    named.context.endpoint.clone().unwrap_or_default(),
                    path(named.context.token_file.as_ref()),
                ]);
            }
            table.row(row);
        }
        table.render()
    }
}

impl Show for Named {
    fn text(&self, _wide: bool) -> String {
        let context = &self.context;
        Fields::default()
            .with("name", &self.name)
            .with("in use", if self.current { "yes" } else { "no" })
            .with("admin", self.admin())
            .with("endpoint", context.endpoint.clone().unwrap_or_default())
            .with("token file", path(context.token_file.as_ref()))
            .with("tls", self.tls())
            .with("ca", path(context.ca.as_ref()))
            .with("certificate", path(context.cert.as_ref()))
            .with("key", path(context.cert_key.as_ref()))
            .render()
    }
}

fn show(contexts: &Contexts, name: Option<&str>) -> Outcome {
    let Some(name) = name.or_else(|| contexts.current_name()) else {
        return Err(Failure::new(Kind::NotFound, "no context is in use").hint(
            "`sluicectl context list` shows which there are, `sluicectl context use NAME` chooses one",
        ));
    };
    shown(Named {
        name: name.to_owned(),
        current: contexts.current_name() == Some(name),
        context: contexts.get(name)?.clone(),
    })
}

/// What was done with a context, for programs.
#[derive(Debug, Serialize)]
struct Changed {
    context: String,
    current: Option<String>,
}

fn done(contexts: &Contexts, name: &str, what: &str) -> Outcome {
    contexts.save()?;
    let current = contexts.current_name().map(str::to_owned);
    let in_use = if what != "deleted" && current.as_deref() == Some(name) {
        ", and in use"
    } else {
        ""
    };
    shown(Done {
        line: format!("context {name} {what}{in_use}"),
        value: Changed {
            context: name.to_owned(),
            current,
        },
    })
}

fn use_context(mut contexts: Contexts, name: &str) -> Outcome {
    contexts.use_context(name)?;
    done(&contexts, name, "chosen")
}

fn delete(mut contexts: Contexts, name: &str) -> Outcome {
    contexts.remove(name)?;
    done(&contexts, name, "deleted")
}

fn set(mut contexts: Contexts, name: &str, anew: bool, global: &Global) -> Outcome {
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Failure::usage(format!(
            "{name:?} is no name for a context: leave blanks out"
        )));
    }
    let there = contexts.get(name).ok().filter(|_| !anew).cloned();
    let what = if there.is_some() { "changed" } else { "made" };
    let mut context = there.unwrap_or_default();
    for (flag, address) in [("--admin", &global.admin), ("--endpoint", &global.endpoint)] {
        if let Some(address) = address {
            Address::parse(address).map_err(|problem| Failure::usage(problem).about(flag))?;
        }
    }
    let text = |new: &Option<String>, old: Option<String>| new.clone().or(old);
    context.admin = text(&global.admin, context.admin);
    context.endpoint = text(&global.endpoint, context.endpoint);
    for (new, old) in [
        (&global.token_file, &mut context.token_file),
        (&global.cert, &mut context.cert),
        (&global.cert_key, &mut context.cert_key),
    ] {
        if let Some(new) = new {
            *old = Some(absolute(new)?);
        }
    }
    context.tls |= global.tls;
    // Whom to trust is one decision.
    if let Some(ca) = &global.ca {
        (context.ca, context.insecure_skip_verify) = (Some(absolute(ca)?), false);
    } else if global.insecure_skip_verify {
        (context.ca, context.insecure_skip_verify) = (None, true);
    }
    contexts.put(name, context);
    done(&contexts, name, what)
}

/// The file is used from other folders than this one.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
