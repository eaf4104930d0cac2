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
    // Means that suppliers bill by, each of three periods.
    mean_supply: "Mean supply temperature, {period}", "Gemiddelde aanvoertemperatuur, {period}",
        "Middel fremløbstemperatur, {period}", "Medelvärde framledningstemperatur, {period}",
        "Mittlere Vorlauftemperatur, {period}";
    mean_return: "Mean return temperature, {period}", "Gemiddelde retourtemperatuur, {period}",
        "Middel returtemperatur, {period}", "Medelvärde returtemperatur, {period}",
        "Mittlere Rücklauftemperatur, {period}";
    mean_cooling: "Mean cooling, {period}", "Gemiddelde afkoeling, {period}",
        "Middel afkøling, {period}", "Medelvärde avkylning, {period}",
        "Mittlere Auskühlung, {period}";
    energy_per_volume: "Energy per volume, {period}", "Energie per volume, {period}",
        "Energi pr. volumen, {period}", "Energi per volym, {period}",
        "Energie pro Volumen, {period}";
    over_limit: "Return over limit, {period}", "Retour boven de grens, {period}",
        "Retur over grænsen, {period}", "Retur över gränsen, {period}",
        "Rücklauf über der Grenze, {period}";
    period_day: "24 hours", "24 uur", "24 timer", "24 timmar", "24 Stunden";
    period_month: "this month", "deze maand", "denne måned", "denna månad", "dieser Monat";
    period_year: "this heating year", "dit stookjaar", "dette varmeår", "detta värmeår",
        "dieses Heizjahr";
    // A register without a name, and one that is configured by its number.
    register: "Register {number}", "Register {number}", "Register {number}", "Register {number}",
        "Register {number}";
    numbered: "{name} ({number})", "{name} ({number})", "{name} ({number})", "{name} ({number})",
        "{name} ({number})";
}
