//! Writes the example file, the reference page and the schema from the table of settings, in the
//! working directory.

use std::fs;

use anyhow::Context;
use kamstrup2mqtt::config::manual;

fn main() -> anyhow::Result<()> {
    for (path, text) in [
        ("kamstrup2mqtt.example.yaml", manual::example()),
        ("docs/configuration.md", manual::reference()),
        ("kamstrup2mqtt.schema.json", manual::schema()),
    ] {
        fs::write(path, text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
