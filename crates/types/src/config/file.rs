//! The one place of this crate that reads a file.

use std::path::Path;

use crate::{Error, ErrorKind};

/// The text of a properties file.
#[expect(clippy::disallowed_methods, reason = "the home of configuration files")]
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let refuse = |message: String| Error::new(ErrorKind::Configuration, message);
    let bytes = std::fs::read(path)
        .map_err(|error| refuse(format!("cannot read the properties file {}", path.display())).with_source(error))?;
    String::from_utf8(bytes)
        .map_err(|error| refuse(format!("the properties file {} is not UTF-8", path.display())).with_source(error))
}
