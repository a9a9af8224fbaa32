//! A diff in words.

use std::fmt;
use std::sync::Arc;

use super::{ChangeEffect, ChangedResource, Operator, TopologyChange, TopologyDiff};

impl fmt::Display for TopologyDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("nothing is lost: stores, internal topics and sub-topologies keep their names\n");
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        let is_moved = |change: &TopologyChange| {
            matches!(change.effect, ChangeEffect::Renamed { .. } | ChangeEffect::TakenOver { .. })
        };
        if self.changes.iter().any(is_moved) {
            moved_by(f, "new", &self.inserted)?;
            moved_by(f, "gone", &self.deleted)?;
            f.write_str(
                "A name given to one operator may free a number and so move others: compare again after naming.\n",
            )?;
        }
        Ok(())
    }
}

fn moved_by(f: &mut fmt::Formatter<'_>, what: &str, names: &[Arc<str>]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(f, "Operators that are {what}, which moves the numbers of those written later: {}.", names.join(", "))
}

impl fmt::Display for TopologyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.effect {
            ChangeEffect::TakenOver { .. } => "MISREAD",
            ChangeEffect::Renamed { .. } | ChangeEffect::Incompatible { .. } => "LOST",
            ChangeEffect::Renumbered { .. } => "REBUILT",
            ChangeEffect::Removed => "REMOVED",
            ChangeEffect::Reconfigured { .. } => "CHANGED",
            ChangeEffect::Added => "NEW",
        };
        write!(f, "{word:<8} {}: ", self.resource)?;
        self.explain(f)?;
        if let Some(keep) = &self.keep {
            write!(f, "\n         to keep it: {} \"{}\"", keep.option, keep.name)?;
            if let Some(operator) = &self.operator_after {
                write!(f, " at {}", operator.name)?;
            }
        }
        Ok(())
    }
}

impl TopologyChange {
    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = Told(self.operator_before.as_ref());
        let after = Told(self.operator_after.as_ref());
        let moved = |f: &mut fmt::Formatter<'_>| match &self.operator_after {
            Some(after) if self.operator_before.as_ref() != Some(after) => write!(f, "{before}, now {},", after.name),
            _ => write!(f, "{before}"),
        };
        let is_store = matches!(self.resource, ChangedResource::Store(_));
        match &self.effect {
            ChangeEffect::Renamed { after: name } => {
                moved(f)?;
                if is_store {
                    write!(f, " has it as {name} and starts empty; its changelog is left behind")
                } else {
                    write!(f, " reads {name} instead; records not read yet are left behind")
                }
            }
            ChangeEffect::TakenOver { by, after: name } => {
                write!(f, "{by} would read what {before} wrote")?;
                let Some(name) = name else { return f.write_str(", which is gone") };
                write!(f, "; ")?;
                moved(f)?;
                if is_store { write!(f, " starts empty as {name}") } else { write!(f, " reads {name} instead") }
            }
            ChangeEffect::Incompatible { what } => write!(f, "{what}; what is stored cannot be read"),
            ChangeEffect::Reconfigured { what } => f.write_str(what),
            ChangeEffect::Renumbered { after } => write!(
                f,
                "its number is {after} now: tasks and state directories follow it, so its stores are read again from \
                 their changelogs; let no old and new instances run side by side"
            ),
            ChangeEffect::Removed => match self.resource {
                ChangedResource::InputTopic(_) => write!(f, "no longer read by {before}"),
                _ => write!(f, "gone with {before}; its topics stay until they are deleted"),
            },
            ChangeEffect::Added => match self.resource {
                ChangedResource::InputTopic(_) => write!(f, "read by {after} from `auto.offset.reset` on"),
                _ => write!(f, "starts empty at {after}"),
            },
        }
    }
}

impl fmt::Display for ChangedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(name) => write!(f, "store {name}"),
            Self::InternalTopic(name) => write!(f, "topic {name}"),
            Self::Subtopology(id) => write!(f, "sub-topology {id}"),
            Self::InputTopic(name) => write!(f, "input {name}"),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.inputs.is_empty() { Ok(()) } else { write!(f, " (of {})", self.inputs.join(", ")) }
    }
}

/// An operator, if it is known.
struct Told<'a>(Option<&'a Operator>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(operator) => operator.fmt(f),
            None => f.write_str("its operator"),
        }
    }
}
