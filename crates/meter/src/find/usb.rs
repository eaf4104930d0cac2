//! What a USB adapter says about itself, read from `/sys` without opening its port.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::shown::is_harmless;

/// The longest text of a device that is shown, in characters. USB allows 126.
const LONGEST: usize = 126;

/// The USB device behind a serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbDevice {
    /// The number of the manufacturer, such as 0x10C4.
    pub vendor_id: u16,
    /// The number of the product, such as 0xEA60.
    pub product_id: u16,
    /// The name of the manufacturer, if the device has one.
    pub manufacturer: Option<String>,
    /// The name of the product, if the device has one.
    pub product: Option<String>,
}

/// `Silicon Labs CP2102 USB to UART Bridge Controller (10c4:ea60)`
impl fmt::Display for UsbDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vendor_id, product_id, manufacturer, product } = self;
        match (manufacturer, product) {
            (Some(maker), Some(product)) if !product.starts_with(maker.as_str()) => {
                write!(f, "{maker} {product} ")?;
            }
            (_, Some(name)) | (Some(name), None) => write!(f, "{name} ")?,
            (None, None) => f.write_str("USB device ")?,
        }
        write!(f, "({vendor_id:04x}:{product_id:04x})")
    }
}

impl UsbDevice {
    /// The USB device of a port; `None` if the port is not a USB device.
    pub(super) fn behind(root: &Path, port: &Path) -> Option<Self> {
        let tty = root.join("sys/class/tty").join(port.file_name()?);
        let device = tty.join("device").canonicalize().ok()?;
        let sys = root.join("sys").canonicalize().ok()?;
        let above = device.ancestors().take_while(|folder| folder.starts_with(&sys));
        above.into_iter().find_map(Self::described_in)
    }

    /// The device that a folder in `/sys` describes.
    fn described_in(folder: &Path) -> Option<Self> {
        let number = |name: &str| u16::from_str_radix(&text(&folder.join(name))?, 16).ok();
        Some(Self {
            vendor_id: number("idVendor")?,
            product_id: number("idProduct")?,
            manufacturer: text(&folder.join("manufacturer")),
            product: text(&folder.join("product")),
        })
    }
}

/// The text in a file, without control characters; `None` if it is missing or empty.
fn text(file: &Path) -> Option<String> {
    let bytes = fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text: String = text.trim().chars().filter(|c| is_harmless(*c)).take(LONGEST).collect();
    Some(text).filter(|text| !text.is_empty())
}
