//! Devices with a serial port that are certainly no optical head.
//!
//! A row needs an id that its maker uses for nothing else, or a word in the device's own names. A
//! plain adapter (CP2102, CH340, FTDI, PL2303) may have an optical head at its end, so it is in no
//! row. Kamstrup's own optical eye has the id 17a8:0001 (Linux, drivers/usb/serial/cp210x.c).

use std::fmt;

use super::usb::UsbDevice;

/// What a device is known as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Zigbee stick.
    Zigbee,
    /// A Z-Wave stick.
    ZWave,
    /// A modem.
    Modem,
    /// A receiver of satellite positions.
    Gps,
    /// Something else, in words.
    Other(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zigbee => "a Zigbee stick",
            Self::ZWave => "a Z-Wave stick",
            Self::Modem => "a modem",
            Self::Gps => "a GPS receiver",
            Self::Other(words) => words,
        })
    }
}

/// Ids of which each belongs to one product.
#[rustfmt::skip]
const BY_ID: &[(u16, u16, Kind)] = &[
    // ConBee II. zigbee-herdsman, src/adapter/adapterDiscovery.ts; home-assistant/core,
    // homeassistant/generated/usb.py (zha).
    (0x1CF1, 0x0030, Kind::Zigbee),
    // CC2531 and CC2538 with TI's Zigbee firmware. zigbee-herdsman, adapterDiscovery.ts.
    (0x0451, 0x16A8, Kind::Zigbee),
    (0x0451, 0x16C8, Kind::Zigbee),
    // Linux, drivers/usb/serial/cp210x.c: "CEL EM357 ZigBee USB Stick", the same "LR", "MMB
    // Networks ZigBee USB Device", "Planet Innovation Ingeni ZigBee USB Device", "Digianswer A/S,
    // ZigBee/802.15.4 MAC Device", "Telegesis ETRX2USB".
    (0x10C4, 0x8857, Kind::Zigbee),
    (0x10C4, 0x8856, Kind::Zigbee),
    (0x10C4, 0x88A4, Kind::Zigbee),
    (0x10C4, 0x88A5, Kind::Zigbee),
    (0x08FD, 0x000A, Kind::Zigbee),
    (0x10C4, 0x8293, Kind::Zigbee),
    // "HubZ dual ZigBee and Z-Wave dongle". cp210x.c; usb.py (zha and zwave_js).
    (0x10C4, 0x8A2A, Kind::Other("a stick for Zigbee and Z-Wave")),
    // Aeotec Z-Stick, UZB. usb.py (zwave_js).
    (0x0658, 0x0200, Kind::ZWave),
    // A telephone modem with caller id. usb.py (modem_callerid).
    (0x0572, 0x1340, Kind::Modem),
    // cp210x.c: "Enfora EDG1228", "Enfora GSM2228", "INSYS USB Modem", "Modem EDGE(GSM) Comander
    // 2", "Siemens MC35PU GPRS Modem", "IRZ Automation Teleport SG-10 GSM/GPRS Modem", "Silicon
    // Labs MobiData GPRS USB Modem" and the same "100EU".
    (0x10C4, 0x8053, Kind::Modem),
    (0x10C4, 0x8054, Kind::Modem),
    (0x10C4, 0x81AD, Kind::Modem),
    (0x10C4, 0x822B, Kind::Modem),
    (0x10C4, 0x8341, Kind::Modem),
    (0x10C4, 0x8418, Kind::Modem),
    (0x10C5, 0xEA61, Kind::Modem),
    (0x10CE, 0xEA6A, Kind::Modem),
    // Quectel EC21, EC25, BG96, BG95 and Telit LE910, ME910. sixfab/atcom, atcom/modems.py.
    (0x2C7C, 0x0121, Kind::Modem),
    (0x2C7C, 0x0125, Kind::Modem),
    (0x2C7C, 0x0296, Kind::Modem),
    (0x2C7C, 0x0700, Kind::Modem),
    (0x1BC7, 0x1101, Kind::Modem),
    (0x1BC7, 0x1201, Kind::Modem),
    (0x1BC7, 0x1206, Kind::Modem),
    // u-blox 7 and 9: "u-blox 7 - GPS/GNSS Receiver". payne/SDR-TDOA-DF, notes.markdown.
    (0x1546, 0x01A7, Kind::Gps),
    (0x1546, 0x01A9, Kind::Gps),
    // cp210x.c: "Fasttrax GPS demonstration module", "Kyocera GPS Module", "Parrot NMEA GPS Flight
    // Recorder", "DW700 GPS USB interface".
    (0x10C4, 0x826B, Kind::Gps),
    (0x10C4, 0x8411, Kind::Gps),
    (0x19CF, 0x3000, Kind::Gps),
    (0x413C, 0x9500, Kind::Gps),
    // Velbus interfaces. usb.py (velbus).
    (0x10CF, 0x0B1B, Kind::Other("a Velbus interface")),
    (0x10CF, 0x0516, Kind::Other("a Velbus interface")),
    (0x10CF, 0x0517, Kind::Other("a Velbus interface")),
    (0x10CF, 0x0518, Kind::Other("a Velbus interface")),
    // "Kamstrup M-Bus Master MultiPort 250D". cp210x.c.
    (0x17A8, 0x0005, Kind::Other("an M-Bus master")),
];

/// Makers whose devices are all of one kind.
const BY_VENDOR: &[(u16, Kind)] = &[
    // usb.py (insteon).
    (0x10BF, Kind::Other("an Insteon modem")),
    // Huawei. ModemManager, src/plugins/huawei/mm-plugin-huawei.c takes all its serial ports.
    (0x12D1, Kind::Modem),
];

/// Words in the names of a device. All of them must be there, in any of the names.
#[rustfmt::skip]
const BY_WORDS: &[(&[&str], Kind)] = &[
    // usb.py (zha, homeassistant_sky_connect) and zigbee-herdsman, adapterDiscovery.ts.
    (&["zigbee"], Kind::Zigbee),
    (&["conbee"], Kind::Zigbee),
    (&["zigate"], Kind::Zigbee),
    (&["zigstar"], Kind::Zigbee),
    (&["tubeszb"], Kind::Zigbee),
    (&["electrolama"], Kind::Zigbee),
    (&["slae.sh cc2652rb"], Kind::Zigbee),
    (&["smlight"], Kind::Zigbee),
    (&["slzb-0"], Kind::Zigbee),
    (&["skyconnect"], Kind::Zigbee),
    (&["home assistant connect zbt-1"], Kind::Zigbee),
    (&["sonoff", "plus"], Kind::Zigbee),
    (&["sonoff", "max"], Kind::Zigbee),
    // usb.py (zwave_js).
    (&["z-wave"], Kind::ZWave),
    (&["nabu casa zwa-2"], Kind::ZWave),
    // The name of the u-blox receivers above.
    (&["gnss receiver"], Kind::Gps),
    // usb.py (rainforest_raven).
    (&["rainforest", "raven"], Kind::Other("a reader of electricity meters")),
    (&["rainforest", "emu-2"], Kind::Other("a reader of electricity meters")),
];

/// What a device certainly is, by its ids and names. `by_id` is its name in `/dev/serial/by-id`.
pub(super) fn kind(usb: Option<&UsbDevice>, by_id: Option<&str>) -> Option<Kind> {
    let by_ids = usb.and_then(|usb| {
        let UsbDevice { vendor_id, product_id, .. } = usb;
        let product =
            BY_ID.iter().find(|(vendor, product, _)| (vendor, product) == (vendor_id, product_id));
        let vendor = || BY_VENDOR.iter().find(|(vendor, _)| vendor == vendor_id);
        product.map(|(.., kind)| *kind).or_else(|| vendor().map(|(_, kind)| *kind))
    });
    by_ids.or_else(|| {
        let names = usb.into_iter().flat_map(|usb| [&usb.manufacturer, &usb.product]).flatten();
        let names = names.map(String::as_str).chain(by_id);
        // udev writes `_` for a space.
        let names = names.collect::<Vec<_>>().join(" ").to_lowercase().replace('_', " ");
        let mut rows = BY_WORDS.iter();
        rows.find(|(words, _)| words.iter().all(|word| names.contains(word))).map(|(_, kind)| *kind)
    })
}
