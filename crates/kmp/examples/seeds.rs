//! Writes the corpus that fuzzing starts from, one directory per target: `seeds kmp/fuzz/corpus`.
//!
//! It is made from `tests/data/frames.csv`, so the captured frames are stored only once.

use std::path::PathBuf;
use std::{env, fs, io};

#[path = "../tests/round_trips/corpus.rs"]
mod corpus;

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "name a directory, like kmp/fuzz/corpus")
    })?;
    let corpus = corpus::corpus();
    for (target, seeds) in [
        ("frame", corpus.frame),
        ("answer", corpus.answer),
        ("value", corpus.value),
        ("logger", corpus.logger),
    ] {
        let directory = directory.join(target);
        fs::create_dir_all(&directory)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
