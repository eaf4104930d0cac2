//! The names of registers: English, Dutch, Danish, Swedish, German.
//!
//! The English names are those of [`REGISTERS`], in the same order. If a register has no row here,
//! or another English name, the program does not compile. The words are those of Kamstrup's manuals
//! in each language.

use kmp::register::{REGISTERS, Register, RegisterId};

use super::Language;

/// The names of a register.
struct Row {
    id: u16,
    english: &'static str,
    dutch: &'static str,
    danish: &'static str,
    swedish: &'static str,
    german: &'static str,
}

impl Language {
    /// The name of a register, if it is a known one.
    pub(crate) fn register(self, register: RegisterId) -> Option<&'static str> {
        let index = ROWS.binary_search_by_key(&register.get(), |row| row.id).ok()?;
        let row = ROWS.get(index)?;
        Some(match self {
            Self::English => row.english,
            Self::Dutch => row.dutch,
            Self::Danish => row.danish,
            Self::Swedish => row.swedish,
            Self::German => row.german,
        })
    }
}

const _: () = assert!(is_complete(REGISTERS, ROWS), "each register needs its names here");

/// Whether each register has a row, in the same order.
const fn is_complete(mut registers: &[Register], mut rows: &[Row]) -> bool {
    while let ([register, registers_left @ ..], [row, rows_left @ ..]) = (registers, rows) {
        let is_its_name = is_same(register.label.as_bytes(), row.english.as_bytes());
        if register.id.get() != row.id || !is_its_name {
            return false;
        }
        (registers, rows) = (registers_left, rows_left);
    }
    registers.is_empty() && rows.is_empty()
}

const fn is_same(mut a: &[u8], mut b: &[u8]) -> bool {
    while let ([first_a, rest_a @ ..], [first_b, rest_b @ ..]) = (a, b) {
        if *first_a != *first_b {
            return false;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.is_empty() && b.is_empty()
}

macro_rules! names {
    ($($id:literal: $english:literal, $dutch:literal, $danish:literal, $swedish:literal, $german:literal;)*) => {
        const ROWS: &[Row] = &[$(Row {
            id: $id,
            english: $english,
            dutch: $dutch,
            danish: $danish,
            swedish: $swedish,
            german: $german,
        }),*];
    };
}

names! {
    1: "Imported active energy", "Afgenomen actieve energie", "Importeret aktiv energi",
        "Importerad aktiv energi", "Bezogene Wirkenergie";
    2: "Exported active energy", "Teruggeleverde actieve energie", "Eksporteret aktiv energi",
        "Exporterad aktiv energi", "Eingespeiste Wirkenergie";
    13: "Imported active energy, high resolution", "Afgenomen actieve energie, hoge resolutie",
        "Importeret aktiv energi, høj opløsning", "Importerad aktiv energi, hög upplösning",
        "Bezogene Wirkenergie, hohe Auflösung";
    14: "Exported active energy, high resolution", "Teruggeleverde actieve energie, hoge resolutie",
        "Eksporteret aktiv energi, høj opløsning", "Exporterad aktiv energi, hög upplösning",
        "Eingespeiste Wirkenergie, hohe Auflösung";
    60: "Energy", "Energie", "Energi", "Energi", "Energie";
    61: "Supply energy E4", "Aanvoerenergie E4", "Fremløbsenergi E4", "Framledningsenergi E4",
        "Vorlaufenergie E4";
    62: "Return energy E5", "Retourenergie E5", "Returløbsenergi E5", "Returenergi E5",
        "Rücklaufenergie E5";
    63: "Cooling energy", "Koude-energie", "Køleenergi", "Kylenergi", "Kälteenergie";
    64: "Tariff register TA2", "Tariefregister TA2", "Tarifregister TA2", "Tariffregister TA2",
        "Tarifregister TA2";
    65: "Tariff register TA3", "Tariefregister TA3", "Tarifregister TA3", "Tariffregister TA3",
        "Tarifregister TA3";
    66: "Tariff limit for TA2", "Tariefgrens voor TA2", "Tarifgrænse for TA2",
        "Tariffgräns för TA2", "Tarifgrenze für TA2";
    67: "Tariff limit for TA3", "Tariefgrens voor TA3", "Tarifgrænse for TA3",
        "Tariffgräns för TA3", "Tarifgrenze für TA3";
    68: "Volume", "Volume", "Volumen", "Volym", "Volumen";
    69: "Volume V2", "Volume V2", "Volumen V2", "Volym V2", "Volumen V2";
    72: "Mass M1", "Massa M1", "Masse M1", "Massa M1", "Masse M1";
    73: "Mass M2", "Massa M2", "Masse M2", "Massa M2", "Masse M2";
    74: "Flow", "Debiet", "Flow", "Flöde", "Durchfluss";
    75: "Flow 2", "Debiet 2", "Flow 2", "Flöde 2", "Durchfluss 2";
    80: "Power", "Vermogen", "Effekt", "Effekt", "Leistung";
    84: "Pulse input A", "Pulsingang A", "Pulsindgang A", "Pulsingång A", "Impulseingang A";
    85: "Pulse input B", "Pulsingang B", "Pulsindgang B", "Pulsingång B", "Impulseingang B";
    86: "Supply temperature", "Aanvoertemperatuur", "Fremløbstemperatur", "Framledningstemperatur",
        "Vorlauftemperatur";
    87: "Return temperature", "Retourtemperatuur", "Returtemperatur", "Returtemperatur",
        "Rücklauftemperatur";
    88: "Temperature t3", "Temperatuur t3", "Temperatur t3", "Temperatur t3", "Temperatur t3";
    89: "Temperature difference", "Temperatuurverschil", "Temperaturdifferens",
        "Temperaturdifferens", "Temperaturdifferenz";
    91: "Supply pressure", "Aanvoerdruk", "Fremløbstryk", "Framledningstryck", "Vorlaufdruck";
    92: "Return pressure", "Retourdruk", "Returtryk", "Returtryck", "Rücklaufdruck";
    94: "Control energy E2", "Controle-energie E2", "Kontrolenergi E2", "Kontrollenergi E2",
        "Kontrollenergie E2";
    95: "Tap water energy E6", "Tapwaterenergie E6", "Brugsvandsenergi E6", "Tappvattenenergi E6",
        "Brauchwasserenergie E6";
    96: "Energy E7", "Energie E7", "Energi E7", "Energi E7", "Energie E7";
    97: "Supply volume times temperature", "Volume maal aanvoertemperatuur",
        "Volumen gange fremløbstemperatur", "Volym gånger framledningstemperatur",
        "Volumen mal Vorlauftemperatur";
    98: "Yearly reading date", "Jaarlijkse afleesdatum", "Årlig skæringsdato",
        "Årlig avläsningsdag", "Jährlicher Stichtag";
    99: "Info code", "Infocode", "Infokode", "Infokod", "Infocode";
    104: "Number of the meter at input B", "Nummer van de meter op ingang B",
        "Nummer på måleren på indgang B", "Nummer på mätaren på ingång B",
        "Nummer des Zählers an Eingang B";
    110: "Return volume times temperature", "Volume maal retourtemperatuur",
        "Volumen gange returtemperatur", "Volym gånger returtemperatur",
        "Volumen mal Rücklauftemperatur";
    112: "Customer number, upper digits", "Klantnummer, eerste cijfers",
        "Kundenummer, første cifre", "Kundnummer, första siffrorna",
        "Kundennummer, vordere Stellen";
    113: "Info events", "Aantal infocodes", "Antal infohændelser", "Antal infohändelser",
        "Info-Ereignisse";
    114: "Number of the meter at input A", "Nummer van de meter op ingang A",
        "Nummer på måleren på indgang A", "Nummer på mätaren på ingång A",
        "Nummer des Zählers an Eingang A";
    122: "Temperature t4", "Temperatuur t4", "Temperatur t4", "Temperatur t4", "Temperatur t4";
    123: "Date of highest flow this year", "Datum van het hoogste debiet dit jaar",
        "Dato for højeste flow i år", "Datum för högsta flöde i år",
        "Datum des höchsten Durchflusses in diesem Jahr";
    124: "Highest flow this year", "Hoogste debiet dit jaar", "Højeste flow i år",
        "Högsta flöde i år", "Höchster Durchfluss in diesem Jahr";
    125: "Date of lowest flow this year", "Datum van het laagste debiet dit jaar",
        "Dato for laveste flow i år", "Datum för lägsta flöde i år",
        "Datum des niedrigsten Durchflusses in diesem Jahr";
    126: "Lowest flow this year", "Laagste debiet dit jaar", "Laveste flow i år",
        "Lägsta flöde i år", "Niedrigster Durchfluss in diesem Jahr";
    127: "Date of highest power this year", "Datum van het hoogste vermogen dit jaar",
        "Dato for højeste effekt i år", "Datum för högsta effekt i år",
        "Datum der höchsten Leistung in diesem Jahr";
    128: "Highest power this year", "Hoogste vermogen dit jaar", "Højeste effekt i år",
        "Högsta effekt i år", "Höchste Leistung in diesem Jahr";
    129: "Date of lowest power this year", "Datum van het laagste vermogen dit jaar",
        "Dato for laveste effekt i år", "Datum för lägsta effekt i år",
        "Datum der niedrigsten Leistung in diesem Jahr";
    130: "Lowest power this year", "Laagste vermogen dit jaar", "Laveste effekt i år",
        "Lägsta effekt i år", "Niedrigste Leistung in diesem Jahr";
    138: "Date of highest flow this month", "Datum van het hoogste debiet deze maand",
        "Dato for højeste flow denne måned", "Datum för högsta flöde denna månad",
        "Datum des höchsten Durchflusses in diesem Monat";
    139: "Highest flow this month", "Hoogste debiet deze maand", "Højeste flow denne måned",
        "Högsta flöde denna månad", "Höchster Durchfluss in diesem Monat";
    140: "Date of lowest flow this month", "Datum van het laagste debiet deze maand",
        "Dato for laveste flow denne måned", "Datum för lägsta flöde denna månad",
        "Datum des niedrigsten Durchflusses in diesem Monat";
    141: "Lowest flow this month", "Laagste debiet deze maand", "Laveste flow denne måned",
        "Lägsta flöde denna månad", "Niedrigster Durchfluss in diesem Monat";
    142: "Date of highest power this month", "Datum van het hoogste vermogen deze maand",
        "Dato for højeste effekt denne måned", "Datum för högsta effekt denna månad",
        "Datum der höchsten Leistung in diesem Monat";
    143: "Highest power this month", "Hoogste vermogen deze maand", "Højeste effekt denne måned",
        "Högsta effekt denna månad", "Höchste Leistung in diesem Monat";
    144: "Date of lowest power this month", "Datum van het laagste vermogen deze maand",
        "Dato for laveste effekt denne måned", "Datum för lägsta effekt denna månad",
        "Datum der niedrigsten Leistung in diesem Monat";
    145: "Lowest power this month", "Laagste vermogen deze maand", "Laveste effekt denne måned",
        "Lägsta effekt denna månad", "Niedrigste Leistung in diesem Monat";
    146: "Average supply temperature this year", "Gemiddelde aanvoertemperatuur dit jaar",
        "Gennemsnitlig fremløbstemperatur i år", "Genomsnittlig framledningstemperatur i år",
        "Mittlere Vorlauftemperatur in diesem Jahr";
    147: "Average return temperature this year", "Gemiddelde retourtemperatuur dit jaar",
        "Gennemsnitlig returtemperatur i år", "Genomsnittlig returtemperatur i år",
        "Mittlere Rücklauftemperatur in diesem Jahr";
    149: "Average supply temperature this month", "Gemiddelde aanvoertemperatuur deze maand",
        "Gennemsnitlig fremløbstemperatur denne måned",
        "Genomsnittlig framledningstemperatur denna månad",
        "Mittlere Vorlauftemperatur in diesem Monat";
    150: "Average return temperature this month", "Gemiddelde retourtemperatuur deze maand",
        "Gennemsnitlig returtemperatur denne måned", "Genomsnittlig returtemperatur denna månad",
        "Mittlere Rücklauftemperatur in diesem Monat";
    152: "Programme number", "Programmanummer", "Programnummer", "Programnummer", "Programmnummer";
    153: "Configuration number 1", "Configuratienummer 1", "Konfigurationsnummer 1",
        "Konfigurationsnummer 1", "Konfigurationsnummer 1";
    154: "Software checksum", "Controlesom van de software", "Softwarens kontrolsum",
        "Programvarans kontrollsumma", "Prüfsumme der Software";
    155: "Energy with more digits", "Energie met meer cijfers", "Energi med flere cifre",
        "Energi med fler siffror", "Energie mit mehr Stellen";
    157: "Top module number", "Nummer van de topmodule", "Topmodulets nummer",
        "Toppmodulens nummer", "Nummer des Kopfmoduls";
    158: "Base module number", "Nummer van de bodemmodule", "Bundmodulets nummer",
        "Bottenmodulens nummer", "Nummer des Bodenmoduls";
    168: "Configuration number 2", "Configuratienummer 2", "Konfigurationsnummer 2",
        "Konfigurationsnummer 2", "Konfigurationsnummer 2";
    171: "Base module 2 number", "Nummer van bodemmodule 2", "Bundmodul 2's nummer",
        "Bottenmodul 2:s nummer", "Nummer des Bodenmoduls 2";
    172: "External module number", "Nummer van de externe module", "Det eksterne moduls nummer",
        "Den externa modulens nummer", "Nummer des externen Moduls";
    175: "Hours with an info code", "Uren met een infocode", "Timer med infokode",
        "Timmar med infokod", "Stunden mit Infocode";
    178: "Differential energy dE", "Verschilenergie dE", "Differensenergi dE", "Differensenergi dE",
        "Differenzenergie dE";
    179: "Control energy cE", "Controle-energie cE", "Kontrolenergi cE", "Kontrollenergi cE",
        "Kontrollenergie cE";
    180: "Differential volume dV", "Verschilvolume dV", "Differensvolumen dV", "Differensvolym dV",
        "Differenzvolumen dV";
    181: "Control volume cV", "Controlevolume cV", "Kontrolvolumen cV", "Kontrollvolym cV",
        "Kontrollvolumen cV";
    183: "Second serial number", "Tweede serienummer", "Serienummer 2", "Serienummer 2",
        "Zweite Seriennummer";
    184: "M-Bus primary address, module 1", "Primair M-Bus-adres, module 1",
        "Primær M-Bus-adresse, modul 1", "Primär M-Bus-adress, modul 1",
        "M-Bus-Primäradresse, Modul 1";
    185: "M-Bus secondary address, module 1", "Secundair M-Bus-adres, module 1",
        "Sekundær M-Bus-adresse, modul 1", "Sekundär M-Bus-adress, modul 1",
        "M-Bus-Sekundäradresse, Modul 1";
    218: "M-Bus primary address, module 2", "Primair M-Bus-adres, module 2",
        "Primær M-Bus-adresse, modul 2", "Primär M-Bus-adress, modul 2",
        "M-Bus-Primäradresse, Modul 2";
    219: "M-Bus secondary address, module 2", "Secundair M-Bus-adres, module 2",
        "Sekundær M-Bus-adresse, modul 2", "Sekundär M-Bus-adress, modul 2",
        "M-Bus-Sekundäradresse, Modul 2";
    220: "M-Bus primary address, external module", "Primair M-Bus-adres, externe module",
        "Primær M-Bus-adresse, eksternt modul", "Primär M-Bus-adress, extern modul",
        "M-Bus-Primäradresse, externes Modul";
    221: "M-Bus secondary address, external module", "Secundair M-Bus-adres, externe module",
        "Sekundær M-Bus-adresse, eksternt modul", "Sekundär M-Bus-adress, extern modul",
        "M-Bus-Sekundäradresse, externes Modul";
    222: "Configuration changes", "Configuratiewijzigingen", "Konfigurationsændringer",
        "Konfigurationsändringar", "Konfigurationsänderungen";
    223: "Volume with more digits", "Volume met meer cijfers", "Volumen med flere cifre",
        "Volym med fler siffror", "Volumen mit mehr Stellen";
    224: "Pulse input A2", "Pulsingang A2", "Pulsindgang A2", "Pulsingång A2", "Impulseingang A2";
    225: "Pulse input B2", "Pulsingang B2", "Pulsindgang B2", "Pulsingång B2", "Impulseingang B2";
    228: "Configuration number 3", "Configuratienummer 3", "Konfigurationsnummer 3",
        "Konfigurationsnummer 3", "Konfigurationsnummer 3";
    229: "Supply temperature, autointegration", "Aanvoertemperatuur, auto-integratie",
        "Fremløbstemperatur, autointegration", "Framledningstemperatur, autointegrering",
        "Vorlauftemperatur, Autointegration";
    230: "Return temperature, autointegration", "Retourtemperatuur, auto-integratie",
        "Returtemperatur, autointegration", "Returtemperatur, autointegrering",
        "Rücklauftemperatur, Autointegration";
    234: "Litres per pulse of input A", "Liter per puls van ingang A",
        "Liter pr. puls på indgang A", "Liter per puls på ingång A",
        "Liter pro Impuls an Eingang A";
    235: "Litres per pulse of input B", "Liter per puls van ingang B",
        "Liter pr. puls på indgang B", "Liter per puls på ingång B",
        "Liter pro Impuls an Eingang B";
    239: "Volume, high resolution", "Volume, hoge resolutie", "Volumen, høj opløsning",
        "Volym, hög upplösning", "Volumen, hohe Auflösung";
    241: "Highest flow of the day", "Hoogste debiet van de dag", "Højeste flow i døgnet",
        "Högsta flöde under dygnet", "Höchster Durchfluss des Tages";
    242: "Lowest flow of the day", "Laagste debiet van de dag", "Laveste flow i døgnet",
        "Lägsta flöde under dygnet", "Niedrigster Durchfluss des Tages";
    243: "Reverse volume", "Volume in omgekeerde richting", "Volumen i modsat retning",
        "Volym i omvänd riktning", "Rückwärtsvolumen";
    254: "Type number as ASCII text", "Typenummer als ASCII-tekst", "Typenummer som ASCII-tekst",
        "Typnummer som ASCII-text", "Typnummer als ASCII-Text";
    257: "Pulse value of V1", "Pulswaarde van V1", "Pulsværdi for V1", "Pulsvärde för V1",
        "Impulswertigkeit von V1";
    258: "Pulse value of V2", "Pulswaarde van V2", "Pulsværdi for V2", "Pulsvärde för V2",
        "Impulswertigkeit von V2";
    259: "Nominal flow qp of V1", "Nominaal debiet qp van V1", "Nominelt flow qp for V1",
        "Nominellt flöde qp för V1", "Nenndurchfluss qp von V1";
    260: "Nominal flow qp of V2", "Nominaal debiet qp van V2", "Nominelt flow qp for V2",
        "Nominellt flöde qp för V2", "Nenndurchfluss qp von V2";
    266: "Energy, high resolution", "Energie, hoge resolutie", "Energi, høj opløsning",
        "Energi, hög upplösning", "Energie, hohe Auflösung";
    267: "Cooling energy, high resolution", "Koude-energie, hoge resolutie",
        "Køleenergi, høj opløsning", "Kylenergi, hög upplösning", "Kälteenergie, hohe Auflösung";
    268: "Averaging time used for min/max flow and power",
        "Middelingstijd voor min./max. debiet en vermogen",
        "Midlingstid for min./maks. flow og effekt",
        "Medelvärdestid för min./max. flöde och effekt",
        "Mittelungszeit für Min./Max. von Durchfluss und Leistung";
    279: "ID in the DIN 43863-5 form", "ID volgens DIN 43863-5", "ID efter DIN 43863-5",
        "ID enligt DIN 43863-5", "ID nach DIN 43863-5";
    292: "Water temperature", "Watertemperatuur", "Vandtemperatur", "Vattentemperatur",
        "Wassertemperatur";
    293: "Lowest water temperature of the month", "Laagste watertemperatuur van de maand",
        "Laveste vandtemperatur i måneden", "Lägsta vattentemperatur under månaden",
        "Niedrigste Wassertemperatur des Monats";
    294: "Highest water temperature of the month", "Hoogste watertemperatuur van de maand",
        "Højeste vandtemperatur i måneden", "Högsta vattentemperatur under månaden",
        "Höchste Wassertemperatur des Monats";
    295: "Average water temperature of the month", "Gemiddelde watertemperatuur van de maand",
        "Gennemsnitlig vandtemperatur i måneden", "Genomsnittlig vattentemperatur under månaden",
        "Mittlere Wassertemperatur des Monats";
    296: "Lowest water temperature of the day", "Laagste watertemperatuur van de dag",
        "Laveste vandtemperatur i døgnet", "Lägsta vattentemperatur under dygnet",
        "Niedrigste Wassertemperatur des Tages";
    297: "Highest water temperature of the day", "Hoogste watertemperatuur van de dag",
        "Højeste vandtemperatur i døgnet", "Högsta vattentemperatur under dygnet",
        "Höchste Wassertemperatur des Tages";
    298: "Average water temperature of the day", "Gemiddelde watertemperatuur van de dag",
        "Gennemsnitlig vandtemperatur i døgnet", "Genomsnittlig vattentemperatur under dygnet",
        "Mittlere Wassertemperatur des Tages";
    299: "Temperature of the meter", "Metertemperatuur", "Målertemperatur", "Mätartemperatur",
        "Zählertemperatur";
    300: "Lowest meter temperature of the month", "Laagste metertemperatuur van de maand",
        "Laveste målertemperatur i måneden", "Lägsta mätartemperatur under månaden",
        "Niedrigste Zählertemperatur des Monats";
    301: "Highest meter temperature of the month", "Hoogste metertemperatuur van de maand",
        "Højeste målertemperatur i måneden", "Högsta mätartemperatur under månaden",
        "Höchste Zählertemperatur des Monats";
    302: "Average meter temperature of the month", "Gemiddelde metertemperatuur van de maand",
        "Gennemsnitlig målertemperatur i måneden", "Genomsnittlig mätartemperatur under månaden",
        "Mittlere Zählertemperatur des Monats";
    303: "Lowest meter temperature of the day", "Laagste metertemperatuur van de dag",
        "Laveste målertemperatur i døgnet", "Lägsta mätartemperatur under dygnet",
        "Niedrigste Zählertemperatur des Tages";
    304: "Highest meter temperature of the day", "Hoogste metertemperatuur van de dag",
        "Højeste målertemperatur i døgnet", "Högsta mätartemperatur under dygnet",
        "Höchste Zählertemperatur des Tages";
    305: "Average meter temperature of the day", "Gemiddelde metertemperatuur van de dag",
        "Gennemsnitlig målertemperatur i døgnet", "Genomsnittlig mätartemperatur under dygnet",
        "Mittlere Zählertemperatur des Tages";
    327: "Target date 1", "Afleesdatum 1", "Skæringsdato 1", "Avläsningsdag 1", "Stichtag 1";
    328: "Target date 2", "Afleesdatum 2", "Skæringsdato 2", "Avläsningsdag 2", "Stichtag 2";
    338: "Data quality", "Datakwaliteit", "Datakvalitet", "Datakvalitet", "Datenqualität";
    346: "Software revision of the module", "Softwarerevisie van de module",
        "Modulets softwarerevision", "Modulens programversion", "Softwareversion des Moduls";
    347: "Customer number in one register", "Klantnummer in één register",
        "Kundenummer i ét register", "Kundnummer i ett register", "Kundennummer in einem Register";
    348: "Clock date and time", "Datum en tijd van de klok", "Urets dato og tid",
        "Klockans datum och tid", "Datum und Uhrzeit des Zählers";
    355: "Coefficient of performance this year", "COP dit jaar", "COP i år", "COP i år",
        "Leistungszahl (COP) in diesem Jahr";
    362: "Tariff register TA4", "Tariefregister TA4", "Tarifregister TA4", "Tariffregister TA4",
        "Tarifregister TA4";
    364: "Heat energy A1", "Warmte-energie A1", "Varmeenergi A1", "Värmeenergi A1",
        "Wärmeenergie A1";
    365: "Heat energy A2", "Warmte-energie A2", "Varmeenergi A2", "Värmeenergi A2",
        "Wärmeenergie A2";
    366: "Temperature limit t5", "Temperatuurgrens t5", "Temperaturgrænse t5", "Temperaturgräns t5",
        "Temperaturgrenze t5";
    367: "Coefficient of performance this month", "COP deze maand", "COP denne måned",
        "COP denna månad", "Leistungszahl (COP) in diesem Monat";
    368: "Configuration number 4", "Configuratienummer 4", "Konfigurationsnummer 4",
        "Konfigurationsnummer 4", "Konfigurationsnummer 4";
    369: "Info code as bits", "Infocode als bits", "Infokode som bit", "Infokod som bitar",
        "Infocode als Bits";
    371: "Coefficient of performance", "COP", "COP", "COP", "Leistungszahl (COP)";
    372: "Electrical power measured on pulse input B1", "Elektrisch vermogen op pulsingang B1",
        "Elektrisk effekt på pulsindgang B1", "Elektrisk effekt på pulsingång B1",
        "Elektrische Leistung an Impulseingang B1";
    379: "Supply temperature, mean of the day", "Aanvoertemperatuur, daggemiddelde",
        "Fremløbstemperatur, døgnmiddel", "Framledningstemperatur, dygnsmedel",
        "Vorlauftemperatur, Tagesmittel";
    380: "Return temperature, mean of the day", "Retourtemperatuur, daggemiddelde",
        "Returtemperatur, døgnmiddel", "Returtemperatur, dygnsmedel",
        "Rücklauftemperatur, Tagesmittel";
    381: "Supply temperature, mean of the hour", "Aanvoertemperatuur, uurgemiddelde",
        "Fremløbstemperatur, timemiddel", "Framledningstemperatur, timmedel",
        "Vorlauftemperatur, Stundenmittel";
    382: "Return temperature, mean of the hour", "Retourtemperatuur, uurgemiddelde",
        "Returtemperatur, timemiddel", "Returtemperatur, timmedel",
        "Rücklauftemperatur, Stundenmittel";
    383: "Time of highest flow this year", "Tijdstip van het hoogste debiet dit jaar",
        "Tidspunkt for højeste flow i år", "Tidpunkt för högsta flöde i år",
        "Zeitpunkt des höchsten Durchflusses in diesem Jahr";
    384: "Time of lowest flow this year", "Tijdstip van het laagste debiet dit jaar",
        "Tidspunkt for laveste flow i år", "Tidpunkt för lägsta flöde i år",
        "Zeitpunkt des niedrigsten Durchflusses in diesem Jahr";
    385: "Time of highest power this year", "Tijdstip van het hoogste vermogen dit jaar",
        "Tidspunkt for højeste effekt i år", "Tidpunkt för högsta effekt i år",
        "Zeitpunkt der höchsten Leistung in diesem Jahr";
    386: "Time of lowest power this year", "Tijdstip van het laagste vermogen dit jaar",
        "Tidspunkt for laveste effekt i år", "Tidpunkt för lägsta effekt i år",
        "Zeitpunkt der niedrigsten Leistung in diesem Jahr";
    387: "Time of highest flow this month", "Tijdstip van het hoogste debiet deze maand",
        "Tidspunkt for højeste flow denne måned", "Tidpunkt för högsta flöde denna månad",
        "Zeitpunkt des höchsten Durchflusses in diesem Monat";
    388: "Time of lowest flow this month", "Tijdstip van het laagste debiet deze maand",
        "Tidspunkt for laveste flow denne måned", "Tidpunkt för lägsta flöde denna månad",
        "Zeitpunkt des niedrigsten Durchflusses in diesem Monat";
    389: "Time of highest power this month", "Tijdstip van het hoogste vermogen deze maand",
        "Tidspunkt for højeste effekt denne måned", "Tidpunkt för högsta effekt denna månad",
        "Zeitpunkt der höchsten Leistung in diesem Monat";
    390: "Time of lowest power this month", "Tijdstip van het laagste vermogen deze maand",
        "Tidspunkt for laveste effekt denne måned", "Tidpunkt för lägsta effekt denna månad",
        "Zeitpunkt der niedrigsten Leistung in diesem Monat";
    394: "Configuration number XYZ", "Configuratienummer XYZ", "Konfigurationsnummer XYZ",
        "Konfigurationsnummer XYZ", "Konfigurationsnummer XYZ";
    398: "Supply temperature, one decimal", "Aanvoertemperatuur, één decimaal",
        "Fremløbstemperatur, én decimal", "Framledningstemperatur, en decimal",
        "Vorlauftemperatur, eine Nachkommastelle";
    399: "Return temperature, one decimal", "Retourtemperatuur, één decimaal",
        "Returtemperatur, én decimal", "Returtemperatur, en decimal",
        "Rücklauftemperatur, eine Nachkommastelle";
    400: "Temperature difference, one decimal", "Temperatuurverschil, één decimaal",
        "Temperaturdifferens, én decimal", "Temperaturdifferens, en decimal",
        "Temperaturdifferenz, eine Nachkommastelle";
    404: "Type number", "Typenummer", "Typenummer", "Typnummer", "Typnummer";
    409: "Info hour counter", "Urenteller van de infocodes", "Infokodernes timetæller",
        "Infokodernas timräknare", "Stundenzähler der Infocodes";
    440: "Highest flow of the hour", "Hoogste debiet van het uur", "Højeste flow i timen",
        "Högsta flöde under timmen", "Höchster Durchfluss der Stunde";
    445: "Date/time of the day's highest flow", "Tijdstip van het hoogste debiet van de dag",
        "Tidspunkt for højeste flow i døgnet", "Tidpunkt för högsta flöde under dygnet",
        "Zeitpunkt des höchsten Durchflusses des Tages";
    446: "Date/time of the day's lowest flow", "Tijdstip van het laagste debiet van de dag",
        "Tidspunkt for laveste flow i døgnet", "Tidpunkt för lägsta flöde under dygnet",
        "Zeitpunkt des niedrigsten Durchflusses des Tages";
    458: "Info code of a water meter", "Infocode van een watermeter", "Infokode for en vandmåler",
        "Infokod för en vattenmätare", "Infocode eines Wasserzählers";
    473: "Energy E10", "Energie E10", "Energi E10", "Energi E10", "Energie E10";
    474: "Energy E11", "Energie E11", "Energi E11", "Energi E11", "Energie E11";
    477: "Temperature t3, mean of the day", "Temperatuur t3, daggemiddelde",
        "Temperatur t3, døgnmiddel", "Temperatur t3, dygnsmedel", "Temperatur t3, Tagesmittel";
    478: "Temperature t3, mean of the hour", "Temperatuur t3, uurgemiddelde",
        "Temperatur t3, timemiddel", "Temperatur t3, timmedel", "Temperatur t3, Stundenmittel";
    505: "Supply pressure, mean of the day", "Aanvoerdruk, daggemiddelde",
        "Fremløbstryk, døgnmiddel", "Framledningstryck, dygnsmedel", "Vorlaufdruck, Tagesmittel";
    506: "Return pressure, mean of the day", "Retourdruk, daggemiddelde", "Returtryk, døgnmiddel",
        "Returtryck, dygnsmedel", "Rücklaufdruck, Tagesmittel";
    507: "Supply pressure, mean of the hour", "Aanvoerdruk, uurgemiddelde",
        "Fremløbstryk, timemiddel", "Framledningstryck, timmedel", "Vorlaufdruck, Stundenmittel";
    508: "Return pressure, mean of the hour", "Retourdruk, uurgemiddelde", "Returtryk, timemiddel",
        "Returtryck, timmedel", "Rücklaufdruck, Stundenmittel";
    515: "Undocumented register", "Ongedocumenteerd register", "Udokumenteret register",
        "Odokumenterat register", "Undokumentiertes Register";
    582: "Battery days left", "Resterende batterijdagen", "Resterende batteridage",
        "Återstående batteridagar", "Verbleibende Batterietage";
    583: "Acoustic noise of the last day", "Akoestische ruis van de afgelopen dag",
        "Akustisk støj det seneste døgn", "Akustiskt brus det senaste dygnet",
        "Akustisches Rauschen des letzten Tages";
    622: "Volume with one more digit", "Volume met één cijfer meer", "Volumen med et ciffer mere",
        "Volym med en siffra till", "Volumen mit einer Stelle mehr";
    640: "Type in words", "Type in woorden", "Type i ord", "Typ i ord", "Typ in Worten";
    675: "Wireless M-Bus send interval", "Zendinterval van Wireless M-Bus",
        "Sendeinterval for Wireless M-Bus", "Sändningsintervall för trådlös M-Bus",
        "Sendeintervall von Wireless M-Bus";
    692: "Volume counted in flow bucket 1", "Volume in debietklasse 1", "Volumen i flowklasse 1",
        "Volym i flödesklass 1", "Volumen in Durchflussklasse 1";
    697: "Volume counted in flow bucket 2", "Volume in debietklasse 2", "Volumen i flowklasse 2",
        "Volym i flödesklass 2", "Volumen in Durchflussklasse 2";
    698: "Volume counted in flow bucket 3", "Volume in debietklasse 3", "Volumen i flowklasse 3",
        "Volym i flödesklass 3", "Volumen in Durchflussklasse 3";
    699: "Volume counted in flow bucket 4", "Volume in debietklasse 4", "Volumen i flowklasse 4",
        "Volym i flödesklass 4", "Volumen in Durchflussklasse 4";
    700: "Volume counted in flow bucket 5", "Volume in debietklasse 5", "Volumen i flowklasse 5",
        "Volym i flödesklass 5", "Volumen in Durchflussklasse 5";
    701: "Volume counted in flow bucket 6", "Volume in debietklasse 6", "Volumen i flowklasse 6",
        "Volym i flödesklass 6", "Volumen in Durchflussklasse 6";
    702: "Volume counted in flow bucket 7", "Volume in debietklasse 7", "Volumen i flowklasse 7",
        "Volym i flödesklass 7", "Volumen in Durchflussklasse 7";
    703: "Volume counted in flow bucket 8", "Volume in debietklasse 8", "Volumen i flowklasse 8",
        "Volym i flödesklass 8", "Volumen in Durchflussklasse 8";
    704: "Volume counted in flow bucket 9", "Volume in debietklasse 9", "Volumen i flowklasse 9",
        "Volym i flödesklass 9", "Volumen in Durchflussklasse 9";
    705: "Volume counted in flow bucket 10", "Volume in debietklasse 10", "Volumen i flowklasse 10",
        "Volym i flödesklass 10", "Volumen in Durchflussklasse 10";
    706: "Volume counted in flow bucket 11", "Volume in debietklasse 11", "Volumen i flowklasse 11",
        "Volym i flödesklass 11", "Volumen in Durchflussklasse 11";
    707: "Volume counted in flow bucket 12", "Volume in debietklasse 12", "Volumen i flowklasse 12",
        "Volym i flödesklass 12", "Volumen in Durchflussklasse 12";
    708: "Volume counted in flow bucket 13", "Volume in debietklasse 13", "Volumen i flowklasse 13",
        "Volym i flödesklass 13", "Volumen in Durchflussklasse 13";
    709: "Flow bucket 1", "Debietklasse 1", "Flowklasse 1", "Flödesklass 1", "Durchflussklasse 1";
    710: "Flow bucket 2", "Debietklasse 2", "Flowklasse 2", "Flödesklass 2", "Durchflussklasse 2";
    711: "Flow bucket 3", "Debietklasse 3", "Flowklasse 3", "Flödesklass 3", "Durchflussklasse 3";
    712: "Flow bucket 4", "Debietklasse 4", "Flowklasse 4", "Flödesklass 4", "Durchflussklasse 4";
    713: "Flow bucket 5", "Debietklasse 5", "Flowklasse 5", "Flödesklass 5", "Durchflussklasse 5";
    714: "Flow bucket 6", "Debietklasse 6", "Flowklasse 6", "Flödesklass 6", "Durchflussklasse 6";
    715: "Flow bucket 7", "Debietklasse 7", "Flowklasse 7", "Flödesklass 7", "Durchflussklasse 7";
    716: "Flow bucket 8", "Debietklasse 8", "Flowklasse 8", "Flödesklass 8", "Durchflussklasse 8";
    717: "Flow bucket 9", "Debietklasse 9", "Flowklasse 9", "Flödesklass 9", "Durchflussklasse 9";
    718: "Flow bucket 10", "Debietklasse 10", "Flowklasse 10", "Flödesklass 10",
        "Durchflussklasse 10";
    719: "Flow bucket 11", "Debietklasse 11", "Flowklasse 11", "Flödesklass 11",
        "Durchflussklasse 11";
    720: "Flow bucket 12", "Debietklasse 12", "Flowklasse 12", "Flödesklass 12",
        "Durchflussklasse 12";
    721: "Flow bucket 13", "Debietklasse 13", "Flowklasse 13", "Flödesklass 13",
        "Durchflussklasse 13";
    1001: "Serial number", "Serienummer", "Serienummer", "Serienummer", "Seriennummer";
    1002: "Clock time", "Tijd van de klok", "Urets tid", "Klockans tid", "Uhrzeit des Zählers";
    1003: "Clock date", "Datum van de klok", "Urets dato", "Klockans datum", "Datum des Zählers";
    1004: "Operating hours", "Bedrijfsuren", "Driftstimer", "Drifttimmar", "Betriebsstunden";
    1005: "Type", "Type", "Type", "Typ", "Typ";
    1010: "Customer number, lower digits", "Klantnummer, laatste cijfers",
        "Kundenummer, sidste cifre", "Kundnummer, sista siffrorna", "Kundennummer, hintere Stellen";
    1023: "Imported active power", "Afgenomen actief vermogen", "Importeret aktiv effekt",
        "Importerad aktiv effekt", "Bezogene Wirkleistung";
    1024: "Exported active power", "Teruggeleverd actief vermogen", "Eksporteret aktiv effekt",
        "Exporterad aktiv effekt", "Eingespeiste Wirkleistung";
    1032: "Operation mode", "Bedrijfsmodus", "Driftstilstand", "Driftläge", "Betriebsart";
    1054: "Voltage of phase 1", "Spanning van fase 1", "Spænding på fase 1", "Spänning på fas 1",
        "Spannung der Phase 1";
    1055: "Voltage of phase 2", "Spanning van fase 2", "Spænding på fase 2", "Spänning på fas 2",
        "Spannung der Phase 2";
    1056: "Voltage of phase 3", "Spanning van fase 3", "Spænding på fase 3", "Spänning på fas 3",
        "Spannung der Phase 3";
    1076: "Current of phase 1", "Stroom van fase 1", "Strøm på fase 1", "Ström på fas 1",
        "Strom der Phase 1";
    1077: "Current of phase 2", "Stroom van fase 2", "Strøm på fase 2", "Ström på fas 2",
        "Strom der Phase 2";
    1078: "Current of phase 3", "Stroom van fase 3", "Strøm på fase 3", "Ström på fas 3",
        "Strom der Phase 3";
    1080: "Imported power of phase 1", "Afgenomen vermogen van fase 1",
        "Importeret effekt på fase 1", "Importerad effekt på fas 1",
        "Bezogene Leistung der Phase 1";
    1081: "Imported power of phase 2", "Afgenomen vermogen van fase 2",
        "Importeret effekt på fase 2", "Importerad effekt på fas 2",
        "Bezogene Leistung der Phase 2";
    1082: "Imported power of phase 3", "Afgenomen vermogen van fase 3",
        "Importeret effekt på fase 3", "Importerad effekt på fas 3",
        "Bezogene Leistung der Phase 3";
    1344: "Exported power of phase 1", "Teruggeleverd vermogen van fase 1",
        "Eksporteret effekt på fase 1", "Exporterad effekt på fas 1",
        "Eingespeiste Leistung der Phase 1";
    1345: "Exported power of phase 2", "Teruggeleverd vermogen van fase 2",
        "Eksporteret effekt på fase 2", "Exporterad effekt på fas 2",
        "Eingespeiste Leistung der Phase 2";
    1346: "Exported power of phase 3", "Teruggeleverd vermogen van fase 3",
        "Eksporteret effekt på fase 3", "Exporterad effekt på fas 3",
        "Eingespeiste Leistung der Phase 3";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Home Assistant would show two entities with one name.
    #[test]
    fn no_two_registers_have_the_same_name() {
        for language in Language::ALL {
            let names: BTreeSet<_> =
                REGISTERS.iter().filter_map(|register| language.register(register.id)).collect();
            assert_eq!(names.len(), REGISTERS.len(), "{language:?}");
        }
    }

    #[test]
    fn names_begin_with_a_capital_and_are_short() {
        for language in Language::ALL {
            for register in REGISTERS {
                let name = language.register(register.id).unwrap();
                assert!(name.starts_with(char::is_uppercase), "{name}");
                assert!(name.chars().count() <= 60, "{name}");
                assert_eq!(name.trim(), name);
            }
        }
        assert_eq!(Language::German.register(RegisterId::new(4000)), None);
    }
}
