//! The corpus that fuzzing starts from: the captured frames and their contents.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "`frames.csv` is ours")]

use kmp::datalink::{self, Cid};
use kmp::frame::{Decoder, Event};

/// The inputs for each property.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    /// Frames as they were on the line, including misprints.
    pub(crate) frame: Vec<Vec<u8>>,
    /// The data of requests and answers.
    pub(crate) answer: Vec<Vec<u8>>,
    /// The registers of answers.
    pub(crate) value: Vec<Vec<u8>>,
    /// The data of requests to the logger and of its answers.
    pub(crate) logger: Vec<Vec<u8>>,
}

/// Makes the corpus from `frames.csv`.
pub(crate) fn corpus() -> Corpus {
    let mut corpus = Corpus::default();
    let mut reader = csv::Reader::from_reader(&include_bytes!("../data/frames.csv")[..]);
    for record in reader.records() {
        let record = record.expect("frames.csv is a table");
        let bytes = bytes(&record[1]);
        let mut decoder = Decoder::new();
        for event in bytes.iter().filter_map(|&byte| decoder.push(byte)) {
            let Event::Frame { body, .. } = event else { continue };
            let Ok(packet) = datalink::parse(&body) else { continue };
            corpus.answer.push(packet.data.to_vec());
            if packet.cid == Cid::LOGGER {
                corpus.logger.push(packet.data.to_vec());
            }
            let mut rest = packet.data;
            // The data of a request is cut at arbitrary places, which is just as useful.
            while let &[high, low, unit, length, sign_exponent, ref after @ ..] = rest {
                let Some((mantissa, after)) = after.split_at_checked(length.into()) else { break };
                corpus.value.push([&[high, low, unit, sign_exponent], mantissa].concat());
                rest = after;
            }
        }
        corpus.frame.push(bytes);
    }
    let Corpus { frame, answer, value, logger } = &mut corpus;
    for seeds in [frame, answer, value, logger] {
        seeds.sort();
        seeds.dedup();
    }
    corpus
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = str::from_utf8(pair).expect("hex digits");
            u8::from_str_radix(pair, 16).expect("two hex digits")
        })
        .collect()
}
