//! The trait of all kinds of steps, and that of all kinds of traces. Each kind of step is one file;
//! `step` and `trace` list the kinds, one a line.

use cmsg_config::Paths;

use super::error::StepError;
use crate::{progress::stage::Stage, system::System};

/// A kind of step. `T` is the list of all traces: a kind requires only that `T` holds its own, and so
/// does not depend on the others.
pub(crate) trait Kind<T> {
    /// What it does, in a few words.
    fn name(&self) -> String;

    /// What is different afterwards.
    fn changes(&self) -> String;

    fn undoing(&self) -> &'static str;

    /// The stage that progress shows it in.
    fn stage(&self) -> Stage;

    /// What it changes on the host beyond the installation's own files, as a noun, for the summary of
    /// a plan.
    fn on_host(&self) -> Option<String> {
        None
    }

    /// Performs it. What it replaces or removes waits aside.
    ///
    /// # Errors
    ///
    /// Where the host refuses, or the operator.
    fn perform(&self, system: &mut dyn System) -> Result<(), StepError>;

    /// What it leaves until the plan is settled, in its order.
    fn traces(&self) -> Vec<T>;
}

/// A kind of trace. To undo or to finish it does no harm where the step was performed in part or not
/// at all, nor when it is done twice.
pub(crate) trait Undo {
    /// Restores the former state.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()>;

    /// How an operator undoes it without the installer.
    fn undoing_by_hand(&self) -> String;

    /// Removes what was kept for undoing, or what only goes when everything else is done.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    fn finish(&self, _system: &mut dyn System) -> anyhow::Result<()> {
        Ok(())
    }

    /// How an operator finishes it without the installer.
    fn finishing_by_hand(&self) -> String {
        NOTHING.to_owned()
    }
}

/// The instruction where a trace has nothing to undo or to finish.
pub(super) const NOTHING: &str = "do nothing";

/// Declares a list of kinds as an enum, one kind a line: `Name(Type)`, or `Name = Type` for a kind
/// without fields, which serde writes as its name alone. `enum Inner in Outer::Name` is a list within
/// a list: `Outer` is made from its kinds too.
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        enum $list:ident: $trait:ty {
            $($name:ident $(($kind:path))? $(= $unit:path)?,)*
        }
    ) => {
        $(#[$meta])*
        pub(crate) enum $list {
            $($name $(($kind))?,)*
        }

        #[cfg(test)]
        impl $list {
            /// The names of all kinds.
            const NAMES: &[&str] = &[$(stringify!($name)),*];
        }

        impl $list {
            fn kind(&self) -> &$trait {
                match self {
                    $(kinds!(@pattern kind $name $($kind)?) => kinds!(@value kind $($unit)?),)*
                }
            }
        }

        $(
            $(impl From<$kind> for $list {
                fn from(kind: $kind) -> Self {
                    Self::$name(kind)
                }
            })?
            $(impl From<$unit> for $list {
                fn from(_: $unit) -> Self {
                    Self::$name
                }
            })?
        )*
    };
    (
        $(#[$meta:meta])*
        enum $list:ident in $outer:ident::$place:ident: $trait:ty {
            $($name:ident $(($kind:path))? $(= $unit:path)?,)*
        }
    ) => {
        kinds! {
            $(#[$meta])*
            enum $list: $trait {
                $($name $(($kind))? $(= $unit)?,)*
            }
        }

        $(
            $(impl From<$kind> for $outer {
                fn from(kind: $kind) -> Self {
                    Self::$place(kind.into())
                }
            })?
            $(impl From<$unit> for $outer {
                fn from(kind: $unit) -> Self {
                    Self::$place(kind.into())
                }
            })?
        )*
    };
    (@pattern $it:ident $name:ident $kind:path) => { Self::$name($it) };
    (@pattern $it:ident $name:ident) => { Self::$name };
    (@value $it:ident $unit:path) => { &$unit };
    (@value $it:ident) => { $it };
}
pub(super) use kinds;
