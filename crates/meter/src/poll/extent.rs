//! How much a reading finds out about the meter.

/// How much a reading finds out about the meter, apart from the values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// Which meter it is.
    #[default]
    Identity,
    /// Its serial number.
    SerialNumber,
    /// Nothing. As with [`Self::SerialNumber`], the meter is only asked for what identifies its
    /// model if a fault must be explained.
    Values,
}
