//! The names in Home Assistant, apart from those of registers: English, Dutch, Danish, Swedish,
//! German.

catalogue! {
    // Devices.
    meter: "Kamstrup Meter", "Kamstrup-meter", "Kamstrup-måler", "Kamstrup-mätare",
        "Kamstrup-Zähler";
    reader: "Meter reader", "Meteruitlezing", "Måleraflæsning", "Mätaravläsning",
        "Zählerauslesung";

    // Models.
    unknown_model: "Kamstrup meter", "Kamstrup-meter", "Kamstrup-måler", "Kamstrup-mätare",
        "Kamstrup-Zähler";
    one_of_models: "{others} or {last}", "{others} of {last}", "{others} eller {last}",
        "{others} eller {last}", "{others} oder {last}";
    likely_model: "{model} (most likely)", "{model} (waarschijnlijk)", "{model} (sandsynligvis)",
        "{model} (sannolikt)", "{model} (wahrscheinlich)";
    assumed_model: "{model} (assumed)", "{model} (aangenomen)", "{model} (antaget)",
        "{model} (antagen)", "{model} (angenommen)";

    // Entities of the program.
    version: "Version", "Versie", "Version", "Version", "Version";
    running_since: "Running since", "Actief sinds", "Kører siden", "Igång sedan", "Läuft seit";

    // Entities of a meter.
    read_now: "Read now", "Nu uitlezen", "Aflæs nu", "Läs av nu", "Jetzt auslesen";
    connection: "Connection", "Verbinding", "Forbindelse", "Anslutning", "Verbindung";
    last_read: "Last read", "Laatste uitlezing", "Seneste aflæsning", "Senaste avläsning",
        "Letzte Auslesung";
    read_duration: "Read duration", "Uitleesduur", "Aflæsningstid", "Avläsningstid",
        "Auslesedauer";
    failed_reads: "Failed reads", "Mislukte uitlezingen", "Mislykkede aflæsninger",
        "Misslyckade avläsningar", "Fehlgeschlagene Auslesungen";
    info_in_words: "Info code in words", "Infocode in woorden", "Infokode i ord", "Infokod i ord",
        "Infocode in Worten";
    problem: "Problem", "Probleem", "Problem", "Problem", "Problem";
    // A register without a name, and one that is configured by its number.
    register: "Register {number}", "Register {number}", "Register {number}", "Register {number}",
        "Register {number}";
    numbered: "{name} ({number})", "{name} ({number})", "{name} ({number})", "{name} ({number})",
        "{name} ({number})";
}
