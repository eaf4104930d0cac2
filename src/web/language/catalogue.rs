//! The texts of the page: English, Dutch, Danish, Swedish, German. A sentence ends with a full stop in
//! all of them, and names in braces stay as they are.

catalogue! {
    // The frame of the page.
    title: "Heat meter", "Warmtemeter", "Varmemåler", "Värmemätare", "Wärmezähler";
    skip: "To the meters", "Naar de meters", "Til målerne", "Till mätarna", "Zu den Zählern";
    live: "Live", "Live", "Live", "Live", "Live";
    live_gone:
        "The connection to the program is gone. Trying again.",
        "De verbinding met het programma is weg. Er wordt opnieuw geprobeerd.",
        "Forbindelsen til programmet er væk. Der prøves igen.",
        "Anslutningen till programmet är borta. Försöker igen.",
        "Die Verbindung zum Programm ist weg. Es wird wieder versucht.";
    not_live:
        "This is how it was at {time}. Load the page again for newer values.",
        "Zo was het om {time}. Laad de pagina opnieuw voor nieuwere waarden.",
        "Sådan var det kl. {time}. Hent siden igen for nyere værdier.",
        "Så var det kl. {time}. Läs in sidan igen för nyare värden.",
        "So war es um {time}. Laden Sie die Seite neu für neuere Werte.";
    load_again: "Load again", "Opnieuw laden", "Hent igen", "Läs in igen", "Neu laden";
    failed:
        "That did not work. Load the page again and try once more.",
        "Dat is niet gelukt. Laad de pagina opnieuw en probeer het nog eens.",
        "Det lykkedes ikke. Hent siden igen, og prøv en gang til.",
        "Det gick inte. Läs in sidan igen och försök en gång till.",
        "Das hat nicht geklappt. Laden Sie die Seite neu und versuchen Sie es noch einmal.";
    asked: "Asked for.", "Gevraagd.", "Der er bedt om det.", "Begärt.", "Angefordert.";

    // How things are; never by colour alone.
    good: "All is well", "Alles in orde", "Alt er i orden", "Allt är bra", "Alles in Ordnung";
    odd: "Worth a look", "Let op", "Se efter", "Värt en titt", "Bitte ansehen";
    bad: "Trouble", "Storing", "Fejl", "Fel", "Störung";

    unpublished:
        "No values go out: there is no connection to the broker",
        "Er gaan geen waarden naar buiten: geen verbinding met de broker",
        "Ingen værdier sendes: der er ingen forbindelse til brokeren",
        "Inga värden skickas: det finns ingen anslutning till brokern",
        "Es gehen keine Werte hinaus: keine Verbindung zum Broker";

    // A meter.
    first:
        "It is being read for the first time.",
        "Hij wordt voor het eerst uitgelezen.",
        "Den aflæses for første gang.",
        "Den läses av för första gången.",
        "Er wird zum ersten Mal gelesen.";
    answers:
        "It answers; it was read {time} ago.",
        "Hij antwoordt; {time} geleden uitgelezen.",
        "Den svarer; den blev aflæst for {time} siden.",
        "Den svarar; den lästes av för {time} sedan.",
        "Er antwortet; er wurde vor {time} gelesen.";
    answers_in_part:
        "It answered only in part when it was read, {time} ago.",
        "Hij antwoordde maar gedeeltelijk, {time} geleden.",
        "Den svarede kun delvist, da den blev aflæst for {time} siden.",
        "Den svarade bara delvis när den lästes av för {time} sedan.",
        "Er hat nur teilweise geantwortet, als er vor {time} gelesen wurde.";
    silent:
        "It did not answer the last time, {time} ago.",
        "Hij antwoordde de laatste keer niet, {time} geleden.",
        "Den svarede ikke sidste gang, for {time} siden.",
        "Den svarade inte senast, för {time} sedan.",
        "Er hat beim letzten Mal nicht geantwortet, vor {time}.";
    since_good:
        "The connection has held for {time}.",
        "De verbinding is al {time} goed.",
        "Forbindelsen har holdt i {time}.",
        "Anslutningen har hållit i {time}.",
        "Die Verbindung hält seit {time}.";
    since_bad:
        "It has not answered for {time}.",
        "Hij antwoordt al {time} niet.",
        "Den har ikke svaret i {time}.",
        "Den har inte svarat på {time}.",
        "Er antwortet seit {time} nicht.";
    next_read:
        "Next reading in {time}.",
        "Volgende uitlezing over {time}.",
        "Næste aflæsning om {time}.",
        "Nästa avläsning om {time}.",
        "Nächste Ablesung in {time}.";
    reads_now:
        "It is being read just now.",
        "Hij wordt nu uitgelezen.",
        "Den aflæses lige nu.",
        "Den läses av just nu.",
        "Er wird gerade gelesen.";
    read_now: "Read now", "Nu uitlezen", "Aflæs nu", "Läs av nu", "Jetzt lesen";
    reports:
        "The meter reports: {fault}.",
        "De meter meldt: {fault}.",
        "Måleren melder: {fault}.",
        "Mätaren meddelar: {fault}.",
        "Der Zähler meldet: {fault}.";
    values: "Values", "Waarden", "Værdier", "Värden", "Werte";
    value: "Value", "Waarde", "Værdi", "Värde", "Wert";
    reading: "Reading", "Stand", "Aflæsning", "Avläsning", "Stand";
    ago: "{time} ago", "{time} geleden", "for {time} siden", "för {time} sedan", "vor {time}";
    not_read: "Not read", "Niet gelezen", "Ikke aflæst", "Inte avläst", "Nicht gelesen";
    about: "About this meter", "Over deze meter", "Om denne måler", "Om mätaren", "Über diesen Zähler";
    model: "Model", "Model", "Model", "Modell", "Modell";
    serial: "Serial number", "Serienummer", "Serienummer", "Serienummer", "Seriennummer";
    port: "Port", "Poort", "Port", "Port", "Anschluss";
    interval: "Read every", "Uitlezing elke", "Aflæses hver", "Läses av var", "Gelesen alle";

    // Names of the values that most people have; the others are English.
    energy: "Energy", "Energie", "Energi", "Energi", "Energie";
    cooling: "Cooling energy", "Koude-energie", "Køleenergi", "Kylenergi", "Kälteenergie";
    volume: "Volume", "Volume", "Volumen", "Volym", "Volumen";
    high_resolution:
        "{name}, high resolution", "{name}, hoge resolutie", "{name}, høj opløsning",
        "{name}, hög upplösning", "{name}, hohe Auflösung";
    power: "Power", "Vermogen", "Effekt", "Effekt", "Leistung";
    flow: "Flow", "Debiet", "Flow", "Flöde", "Durchfluss";
    supply:
        "Supply temperature", "Aanvoertemperatuur", "Fremløbstemperatur", "Framledningstemperatur",
        "Vorlauftemperatur";
    back:
        "Return temperature", "Retourtemperatuur", "Returtemperatur", "Returtemperatur",
        "Rücklauftemperatur";
    difference:
        "Temperature difference", "Temperatuurverschil", "Temperaturforskel", "Temperaturskillnad",
        "Temperaturdifferenz";
    hours: "Operating hours", "Bedrijfsuren", "Driftstimer", "Drifttimmar", "Betriebsstunden";
    info_code: "Info code", "Infocode", "Infokode", "Infokod", "Infocode";
    highest_power_month:
        "Highest power this month", "Hoogste vermogen deze maand", "Højeste effekt i denne måned",
        "Högsta effekt denna månad", "Höchste Leistung in diesem Monat";
    highest_power_year:
        "Highest power this year", "Hoogste vermogen dit jaar", "Højeste effekt i år",
        "Högsta effekt i år", "Höchste Leistung in diesem Jahr";
    highest_flow_month:
        "Highest flow this month", "Hoogste debiet deze maand", "Højeste flow i denne måned",
        "Högsta flöde denna månad", "Höchster Durchfluss in diesem Monat";
    highest_flow_year:
        "Highest flow this year", "Hoogste debiet dit jaar", "Højeste flow i år", "Högsta flöde i år",
        "Höchster Durchfluss in diesem Jahr";
    water_temperature:
        "Water temperature", "Watertemperatuur", "Vandtemperatur", "Vattentemperatur",
        "Wassertemperatur";
    meter_temperature:
        "Meter temperature", "Metertemperatuur", "Målertemperatur", "Mätarens temperatur",
        "Zählertemperatur";

    // Charts.
    charts: "Charts", "Grafieken", "Grafer", "Diagram", "Diagramme";
    last_day: "{name}, last 24 hours", "{name}, laatste 24 uur", "{name}, seneste 24 timer",
        "{name}, senaste 24 timmarna", "{name}, letzte 24 Stunden";
    temperatures: "Temperatures", "Temperaturen", "Temperaturer", "Temperaturer", "Temperaturen";
    supply_short: "Supply", "Aanvoer", "Fremløb", "Framledning", "Vorlauf";
    back_short: "Return", "Retour", "Retur", "Retur", "Rücklauf";
    per_hour: "{name} per hour", "{name} per uur", "{name} pr. time", "{name} per timme",
        "{name} je Stunde";
    per_day: "{name} per day", "{name} per dag", "{name} pr. dag", "{name} per dag",
        "{name} je Tag";
    as_table: "As a table", "Als tabel", "Som tabel", "Som tabell", "Als Tabelle";
    time: "Time", "Tijd", "Tid", "Tid", "Zeit";
    day: "Day", "Dag", "Dag", "Dag", "Tag";
    day_short: "{day}/{month}", "{day}-{month}", "{day}/{month}", "{day}/{month}", "{day}.{month}.";
    lowest: "Lowest", "Laagste", "Laveste", "Lägsta", "Kleinster Wert";
    highest: "Highest", "Hoogste", "Højeste", "Högsta", "Größter Wert";
    not_known: "not known", "niet bekend", "ikke kendt", "inte känt", "nicht bekannt";
    so_far: "so far", "tot nu toe", "indtil nu", "hittills", "bis jetzt";
    from_to: "from {from} to {to} {unit}", "van {from} tot {to} {unit}", "fra {from} til {to} {unit}",
        "från {from} till {to} {unit}", "von {from} bis {to} {unit}";
    no_charts:
        "There will be charts here when the meter has been read a few times.",
        "Hier komen grafieken zodra de meter een paar keer is uitgelezen.",
        "Her kommer grafer, når måleren er aflæst nogle gange.",
        "Här kommer diagram när mätaren har lästs av några gånger.",
        "Hier stehen Diagramme, sobald der Zähler ein paar Mal gelesen wurde.";
    no_charts_kept:
        "There are no charts as long as readings are not kept.",
        "Er zijn geen grafieken zolang waarden niet worden bewaard.",
        "Der er ingen grafer, så længe aflæsninger ikke gemmes.",
        "Det finns inga diagram så länge avläsningar inte sparas.",
        "Es gibt keine Diagramme, solange Werte nicht aufbewahrt werden.";
    memory_trouble:
        "Readings are not kept", "Waarden worden niet bewaard", "Aflæsninger gemmes ikke",
        "Avläsningar sparas inte", "Werte werden nicht aufbewahrt";
    memory_goes_on:
        "Everything else goes on. Readings wait in memory for a while, and it is tried again by itself.",
        "Al het andere gaat door. Waarden wachten een tijd in het geheugen, en het wordt vanzelf opnieuw \
         geprobeerd.",
        "Alt andet fortsætter. Aflæsninger venter et stykke tid i hukommelsen, og der prøves igen af sig \
         selv.",
        "Allt annat fortsätter. Avläsningar väntar en tid i minnet, och nya försök görs av sig själva.",
        "Alles andere geht weiter. Werte warten eine Weile im Speicher, und es wird von selbst wieder \
         versucht.";

    // The line to the meter.
    line: "The optical line today", "De optische lijn vandaag", "Den optiske forbindelse i dag",
        "Den optiska förbindelsen i dag", "Die optische Verbindung heute";
    polls: "Readings", "Uitlezingen", "Aflæsninger", "Avläsningar", "Ablesungen";
    polls_failed: "of them failed", "daarvan mislukt", "heraf mislykket", "varav misslyckade",
        "davon misslungen";
    retries: "Requests made again", "Opnieuw gevraagd", "Spurgt igen", "Frågat igen",
        "Wiederholte Anfragen";
    bad_checksums: "Damaged answers", "Beschadigde antwoorden", "Beskadigede svar", "Skadade svar",
        "Beschädigte Antworten";
    bytes_sent: "Bytes sent", "Bytes verzonden", "Byte sendt", "Byte skickade", "Bytes gesendet";
    bytes_received: "Bytes received", "Bytes ontvangen", "Byte modtaget", "Byte mottagna",
        "Bytes empfangen";
    awake: "Meter kept awake", "Meter wakker gehouden", "Måleren holdt vågen", "Mätaren hållen vaken",
        "Zähler wach gehalten";
    line_good:
        "The optical head reads well.",
        "De optische kop leest goed.",
        "Det optiske hoved aflæser godt.",
        "Det optiska läshuvudet läser bra.",
        "Der Lesekopf liest gut.";
    line_bad:
        "Many answers were damaged or did not come: the optical head may not sit in its place. The \
         placement aid below helps to find it.",
        "Veel antwoorden waren beschadigd of kwamen niet: de optische kop zit misschien niet goed. De \
         plaatsingshulp hieronder helpt.",
        "Mange svar var beskadigede eller kom ikke: det optiske hoved sidder måske ikke rigtigt. \
         Placeringshjælpen herunder hjælper.",
        "Många svar var skadade eller kom inte: läshuvudet sitter kanske inte rätt. \
         Placeringshjälpen nedan hjälper.",
        "Viele Antworten waren beschädigt oder blieben aus: der Lesekopf sitzt vielleicht nicht \
         richtig. Die Platzierhilfe darunter hilft.";
    battery:
        "Each reading costs the meter's battery a little: reading more seldom spares it.",
        "Elke uitlezing kost de batterij van de meter een beetje: minder vaak uitlezen spaart haar.",
        "Hver aflæsning koster lidt af målerens batteri: sjældnere aflæsning skåner det.",
        "Varje avläsning kostar lite av mätarens batteri: att läsa av mer sällan sparar det.",
        "Jede Ablesung kostet ein wenig von der Batterie des Zählers: seltener lesen schont sie.";

    // The placement aid.
    placement: "Placement aid", "Plaatsingshulp", "Placeringshjælp", "Placeringshjälp",
        "Platzierhilfe";
    placement_words:
        "Asks the meter once a second for two minutes. Move and turn the optical head until it answers \
         each time; press a key on the meter if it never does. Readings go on afterwards.",
        "Vraagt de meter twee minuten lang elke seconde. Verschuif en draai de optische kop tot hij \
         elke keer antwoordt; druk op een toets van de meter als hij nooit antwoordt. Daarna gaat het \
         uitlezen verder.",
        "Spørger måleren hvert sekund i to minutter. Flyt og drej det optiske hoved, til den svarer \
         hver gang; tryk på en tast på måleren, hvis den aldrig svarer. Bagefter fortsætter \
         aflæsningen.",
        "Frågar mätaren varje sekund i två minuter. Flytta och vrid läshuvudet tills den svarar varje \
         gång; tryck på en knapp på mätaren om den aldrig svarar. Sedan fortsätter avläsningen.",
        "Fragt den Zähler zwei Minuten lang jede Sekunde. Schieben und drehen Sie den Lesekopf, bis er \
         jedes Mal antwortet; drücken Sie eine Taste am Zähler, wenn er nie antwortet. Danach geht das \
         Lesen weiter.";
    placement_start: "Start placing", "Plaatsing beginnen", "Begynd placering", "Börja placera",
        "Platzieren beginnen";
    placement_waits:
        "Waiting for the port.", "Er wordt op de poort gewacht.", "Venter på porten.",
        "Väntar på porten.", "Es wird auf den Anschluss gewartet.";
    placement_ended:
        "The last time {hits} of {asked} requests were answered.",
        "De laatste keer zijn {hits} van {asked} vragen beantwoord.",
        "Sidste gang blev {hits} af {asked} spørgsmål besvaret.",
        "Senast besvarades {hits} av {asked} frågor.",
        "Beim letzten Mal wurden {hits} von {asked} Anfragen beantwortet.";
    hit: "It answers", "Antwoord", "Den svarer", "Den svarar", "Er antwortet";
    miss: "No answer", "Geen antwoord", "Intet svar", "Inget svar", "Keine Antwort";
    hits_of:
        "{hits} of {asked} answered, {left} s left",
        "{hits} van {asked} beantwoord, nog {left} s",
        "{hits} af {asked} besvaret, {left} s tilbage",
        "{hits} av {asked} besvarade, {left} s kvar",
        "{hits} von {asked} beantwortet, noch {left} s";
    sound: "Sound", "Geluid", "Lyd", "Ljud", "Ton";
    stop: "Stop", "Stoppen", "Stop", "Stoppa", "Beenden";

    // What the meter has.
    scan: "What this meter can tell", "Wat deze meter kan vertellen", "Hvad måleren kan fortælle",
        "Vad mätaren kan berätta", "Was dieser Zähler sagen kann";
    scan_words:
        "Asks for all registers, which takes some minutes and a little of the meter's battery. Readings \
         wait meanwhile.",
        "Vraagt alle registers op. Dat duurt enkele minuten en kost iets van de batterij van de meter. \
         Het uitlezen wacht zolang.",
        "Spørger efter alle registre. Det tager nogle minutter og lidt af målerens batteri. \
         Aflæsningen venter imens.",
        "Frågar efter alla register. Det tar några minuter och lite av mätarens batteri. Avläsningen \
         väntar under tiden.",
        "Fragt nach allen Registern. Das dauert einige Minuten und kostet etwas von der Batterie des \
         Zählers. Das Lesen wartet so lange.";
    scan_start: "Look for registers", "Registers zoeken", "Søg efter registre", "Sök register",
        "Register suchen";
    scan_progress:
        "{asked} of {of} asked for, {found} found",
        "{asked} van {of} gevraagd, {found} gevonden",
        "{asked} af {of} spurgt, {found} fundet",
        "{asked} av {of} frågade, {found} hittade",
        "{asked} von {of} gefragt, {found} gefunden";
    scan_list: "For the configuration", "Voor de configuratie", "Til konfigurationen",
        "För konfigurationen", "Für die Konfiguration";
    register: "Register", "Register", "Register", "Register", "Register";
    copy: "Copy", "Kopiëren", "Kopiér", "Kopiera", "Kopieren";
    copied: "Copied.", "Gekopieerd.", "Kopieret.", "Kopierat.", "Kopiert.";
    not_copied:
        "The browser does not let this page copy. Mark the text and copy it.",
        "De browser laat deze pagina niet kopiëren. Markeer de tekst en kopieer die.",
        "Browseren lader ikke siden kopiere. Markér teksten, og kopiér den.",
        "Webbläsaren låter inte sidan kopiera. Markera texten och kopiera den.",
        "Der Browser lässt diese Seite nicht kopieren. Markieren und kopieren Sie den Text.";

    // Setup.
    settings_broken:
        "The settings cannot be used", "De instellingen kunnen niet worden gebruikt",
        "Indstillingerne kan ikke bruges", "Inställningarna kan inte användas",
        "Die Einstellungen sind nicht brauchbar";
    settings_odd: "Odd in the settings", "Opvallend in de instellingen", "Sært i indstillingerne",
        "Konstigt i inställningarna", "Auffällig in den Einstellungen";
    setup: "Setup", "Opstelling", "Opsætning", "Uppsättning", "Einrichtung";
    ports: "Serial ports", "Seriële poorten", "Serielle porte", "Serieportar",
        "Serielle Anschlüsse";
    ports_none:
        "There is no serial port on this machine. Plug in the optical head, and load the page again.",
        "Deze machine heeft geen seriële poort. Sluit de optische kop aan en laad de pagina opnieuw.",
        "Maskinen har ingen seriel port. Sæt det optiske hoved i, og hent siden igen.",
        "Datorn har ingen serieport. Koppla in läshuvudet och läs in sidan igen.",
        "Dieses Gerät hat keinen seriellen Anschluss. Stecken Sie den Lesekopf ein und laden Sie die \
         Seite neu.";
    port_free: "free", "vrij", "fri", "ledig", "frei";
    port_busy: "in use by another program", "in gebruik door een ander programma",
        "i brug af et andet program", "används av ett annat program",
        "von einem anderen Programm benutzt";
    port_of: "read for {meter}", "uitgelezen voor {meter}", "aflæses for {meter}",
        "läses av för {meter}", "gelesen für {meter}";
    configuration: "Settings that count", "Geldende instellingen", "Gældende indstillinger",
        "Gällande inställningar", "Geltende Einstellungen";
    masked:
        "Passwords are shown as stars.",
        "Wachtwoorden worden als sterretjes getoond.",
        "Adgangskoder vises som stjerner.",
        "Lösenord visas som stjärnor.",
        "Passwörter stehen hier als Sternchen.";
    setting: "Setting", "Instelling", "Indstilling", "Inställning", "Einstellung";
    origin: "Comes from", "Komt van", "Kommer fra", "Kommer från", "Kommt von";
    broker: "MQTT broker", "MQTT-broker", "MQTT-broker", "MQTT-broker", "MQTT-Broker";
    broker_unknown:
        "Which broker there is, is not known yet.",
        "Welke broker er is, is nog niet bekend.",
        "Hvilken broker der er, vides endnu ikke.",
        "Vilken broker som finns är inte känt än.",
        "Welchen Broker es gibt, ist noch nicht bekannt.";
    broker_connecting:
        "Connecting to {name}.", "Verbinden met {name}.", "Forbinder til {name}.",
        "Ansluter till {name}.", "Verbindung zu {name} wird aufgebaut.";
    broker_connected:
        "Connected to {name} for {time}.",
        "Al {time} verbonden met {name}.",
        "Forbundet til {name} i {time}.",
        "Ansluten till {name} i {time}.",
        "Seit {time} mit {name} verbunden.";
    broker_down:
        "No connection to {name} for {time}.",
        "Al {time} geen verbinding met {name}.",
        "Ingen forbindelse til {name} i {time}.",
        "Ingen anslutning till {name} på {time}.",
        "Seit {time} keine Verbindung zu {name}.";
    supervisor: "Home Assistant's Supervisor", "Supervisor van Home Assistant",
        "Home Assistants Supervisor", "Home Assistants Supervisor", "Supervisor von Home Assistant";
    supervisor_asked:
        "It is asked which broker there is.",
        "Er wordt gevraagd welke broker er is.",
        "Den spørges, hvilken broker der er.",
        "Den tillfrågas om vilken broker som finns.",
        "Er wird gefragt, welchen Broker es gibt.";
    supervisor_answered:
        "It has said which broker there is.",
        "Hij heeft gezegd welke broker er is.",
        "Den har sagt, hvilken broker der er.",
        "Den har sagt vilken broker som finns.",
        "Er hat gesagt, welchen Broker es gibt.";

    // The log.
    log: "Log", "Logboek", "Log", "Logg", "Protokoll";
    log_words:
        "The last lines, newest at the end.",
        "De laatste regels, de nieuwste onderaan.",
        "De seneste linjer, de nyeste nederst.",
        "De senaste raderna, de nyaste sist.",
        "Die letzten Zeilen, die neueste am Ende.";
    log_level: "Show", "Tonen", "Vis", "Visa", "Zeigen";
    log_all: "all", "alles", "alt", "allt", "alles";
    log_warnings: "warnings and errors", "waarschuwingen en fouten", "advarsler og fejl",
        "varningar och fel", "Warnungen und Fehler";
    log_errors: "errors", "fouten", "fejl", "fel", "Fehler";
    log_apply: "Filter", "Filteren", "Filtrér", "Filtrera", "Filtern";
    log_empty:
        "There are no such lines.", "Zulke regels zijn er niet.", "Der er ingen sådanne linjer.",
        "Det finns inga sådana rader.", "Solche Zeilen gibt es nicht.";
    log_copy: "Copy for a bug report", "Kopiëren voor een foutmelding", "Kopiér til en fejlmelding",
        "Kopiera till en felrapport", "Für einen Fehlerbericht kopieren";
}
