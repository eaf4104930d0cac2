//! The texts of the page: English, Dutch, Danish, Swedish, German. A sentence ends with a full stop
//! in all of them, and names in braces stay as they are. Each language is written on its own: the
//! words are those of Kamstrup's manuals and of Home Assistant, not those of the English text.

catalogue! {
    // The frame of the page.
    title: "Heat meter", "Warmtemeter", "Varmemåler", "Värmemätare", "Wärmezähler";
    skip: "Skip to the meters", "Direct naar de meters", "Gå til målerne", "Hoppa till mätarna",
        "Direkt zu den Zählern";
    live: "Live", "Live", "Live", "Live", "Live";
    gone: "No connection", "Geen verbinding", "Ingen forbindelse", "Ingen anslutning",
        "Keine Verbindung";
    live_gone:
        "No connection to kamstrup2mqtt. Trying again.",
        "Geen verbinding met kamstrup2mqtt. Er wordt opnieuw verbinding gemaakt.",
        "Ingen forbindelse til kamstrup2mqtt. Prøver at oprette forbindelse igen.",
        "Ingen anslutning till kamstrup2mqtt. Försöker återansluta.",
        "Keine Verbindung zu kamstrup2mqtt. Die Seite versucht es weiter.";
    not_live:
        "Loaded at {time}. Reload the page for newer values.",
        "Geladen om {time}. Laad de pagina opnieuw voor nieuwere waarden.",
        "Hentet kl. {time}. Genindlæs siden for at se nyere værdier.",
        "Hämtades kl. {time}. Ladda om sidan för att se nyare värden.",
        "Stand: {time}. Für neuere Werte die Seite neu laden.";
    load_again: "Reload", "Opnieuw laden", "Genindlæs", "Ladda om", "Neu laden";
    failed:
        "That did not work. Reload the page and try again.",
        "Dat is niet gelukt. Laad de pagina opnieuw en probeer het nog eens.",
        "Det lykkedes ikke. Genindlæs siden, og prøv igen.",
        "Det gick inte. Ladda om sidan och försök igen.",
        "Das hat nicht geklappt. Die Seite neu laden und noch einmal versuchen.";
    asked: "Request sent.", "Opdracht verstuurd.", "Anmodningen er sendt.", "Begäran har skickats.",
        "Anfrage gesendet.";

    // States; never shown by colour alone.
    good: "OK", "OK", "OK", "OK", "OK";
    starting: "Starting", "Start op", "Starter", "Startar", "Startet";
    odd: "Needs attention", "Vraagt aandacht", "Bør tjekkes", "Behöver ses över", "Bitte prüfen";
    bad: "Trouble", "Storing", "Fejl", "Fel", "Störung";

    unpublished:
        "Values are not published: no connection to the MQTT broker",
        "Er worden geen waarden verstuurd: geen verbinding met de MQTT-broker",
        "Der sendes ingen værdier: ingen forbindelse til MQTT-brokeren",
        "Inga värden skickas: ingen anslutning till MQTT-brokern",
        "Es werden keine Werte gesendet: keine Verbindung zum MQTT-Broker";

    // A meter.
    meters: "Meters", "Meters", "Målere", "Mätare", "Zähler";
    meters_shown:
        "{first} to {last} of {count} meters",
        "{first} tot en met {last} van {count} meters",
        "{first} til {last} af {count} målere",
        "{first} till {last} av {count} mätare",
        "{first} bis {last} von {count} Zählern";
    meters_all:
        "All {count} meters",
        "Alle {count} meters",
        "Alle {count} målere",
        "Alla {count} mätare",
        "Alle {count} Zähler";
    meters_previous: "Previous meters", "Vorige meters", "Forrige målere", "Föregående mätare",
        "Vorherige Zähler";
    meters_next: "Next meters", "Volgende meters", "Næste målere", "Nästa mätare",
        "Nächste Zähler";
    first:
        "Reading the meter for the first time.",
        "De meter wordt voor het eerst uitgelezen.",
        "Måleren aflæses for første gang.",
        "Mätaren läses av för första gången.",
        "Der Zähler wird zum ersten Mal ausgelesen.";
    answers:
        "Last reading {time} ago.",
        "Laatste uitlezing {time} geleden.",
        "Seneste aflæsning for {time} siden.",
        "Senaste avläsning för {time} sedan.",
        "Letzte Auslesung vor {time}.";
    answers_in_part:
        "Last reading {time} ago, incomplete.",
        "Laatste uitlezing {time} geleden, onvolledig.",
        "Seneste aflæsning for {time} siden, ufuldstændig.",
        "Senaste avläsning för {time} sedan, ofullständig.",
        "Letzte Auslesung vor {time}, unvollständig.";
    silent:
        "Last attempt {time} ago: no answer.",
        "Laatste poging {time} geleden: geen antwoord.",
        "Seneste forsøg for {time} siden: intet svar.",
        "Senaste försöket för {time} sedan: inget svar.",
        "Letzter Versuch vor {time}: keine Antwort.";
    not_reached:
        "Last attempt {time} ago failed.",
        "De laatste poging, {time} geleden, is mislukt.",
        "Seneste forsøg for {time} siden mislykkedes.",
        "Senaste försöket för {time} sedan misslyckades.",
        "Der letzte Versuch vor {time} ist fehlgeschlagen.";
    since_good:
        "The meter has answered for {time}.",
        "De meter antwoordt al {time}.",
        "Måleren har svaret i {time}.",
        "Mätaren har svarat i {time}.",
        "Der Zähler antwortet seit {time}.";
    since_bad:
        "The meter has not answered for {time}.",
        "De meter antwoordt al {time} niet.",
        "Måleren har ikke svaret i {time}.",
        "Mätaren har inte svarat på {time}.",
        "Der Zähler antwortet seit {time} nicht.";
    next_read:
        "Next reading in {time}.",
        "Volgende uitlezing over {time}.",
        "Næste aflæsning om {time}.",
        "Nästa avläsning om {time}.",
        "Nächste Auslesung in {time}.";
    reads_now:
        "Reading now.",
        "Wordt nu uitgelezen.",
        "Aflæses nu.",
        "Läses av nu.",
        "Wird gerade ausgelesen.";
    read_now: "Read now", "Nu uitlezen", "Aflæs nu", "Läs av nu", "Jetzt auslesen";
    reports:
        "The meter reports: {fault}.",
        "De meter meldt: {fault}.",
        "Måleren melder: {fault}.",
        "Mätaren rapporterar: {fault}.",
        "Der Zähler meldet: {fault}.";
    values: "Values", "Waarden", "Værdier", "Värden", "Werte";
    value: "Value", "Waarde", "Værdi", "Värde", "Wert";
    reading: "Reading", "Meetwaarde", "Aflæsning", "Avläsning", "Messwert";
    values_age:
        "These values are {time} old.",
        "Deze waarden zijn {time} oud.",
        "Værdierne er {time} gamle.",
        "Värdena är {time} gamla.",
        "Diese Werte sind {time} alt.";
    ago: "{time} ago", "{time} geleden", "for {time} siden", "för {time} sedan", "vor {time}";
    not_read: "Not read", "Niet uitgelezen", "Ikke aflæst", "Inte avlästa", "Nicht ausgelesen";
    about: "About this meter", "Over deze meter", "Om måleren", "Om mätaren", "Über diesen Zähler";
    in_home_assistant: "In Home Assistant", "In Home Assistant", "I Home Assistant",
        "I Home Assistant", "In Home Assistant";
    model: "Model", "Model", "Model", "Modell", "Modell";
    serial: "Serial number", "Serienummer", "Serienummer", "Serienummer", "Seriennummer";
    port: "Port", "Poort", "Port", "Port", "Anschluss";
    interval: "Time between readings", "Uitleesinterval", "Aflæsningsinterval",
        "Avläsningsintervall", "Ausleseintervall";

    // Names of the common values; all others are English.
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
        "Temperature difference", "Temperatuurverschil", "Temperaturdifferens",
        "Temperaturdifferens", "Temperaturdifferenz";
    hours: "Operating hours", "Bedrijfsuren", "Driftstimer", "Drifttimmar", "Betriebsstunden";
    info_code: "Info code", "Infocode", "Infokode", "Infokod", "Infocode";
    highest_power_month:
        "Peak power this month", "Piekvermogen deze maand", "Maks. effekt denne måned",
        "Maxeffekt denna månad", "Max. Leistung diesen Monat";
    highest_power_year:
        "Peak power this year", "Piekvermogen dit jaar", "Maks. effekt i år", "Maxeffekt i år",
        "Max. Leistung dieses Jahr";
    highest_flow_month:
        "Peak flow this month", "Piekdebiet deze maand", "Maks. flow denne måned",
        "Maxflöde denna månad", "Max. Durchfluss diesen Monat";
    highest_flow_year:
        "Peak flow this year", "Piekdebiet dit jaar", "Maks. flow i år", "Maxflöde i år",
        "Max. Durchfluss dieses Jahr";
    water_temperature:
        "Water temperature", "Watertemperatuur", "Vandtemperatur", "Vattentemperatur",
        "Wassertemperatur";
    meter_temperature:
        "Meter temperature", "Metertemperatuur", "Målertemperatur", "Mätartemperatur",
        "Zählertemperatur";

    // Charts.
    charts: "Charts", "Grafieken", "Grafer", "Diagram", "Diagramme";
    last_day: "{name}, last 24 hours", "{name}, afgelopen 24 uur", "{name}, seneste 24 timer",
        "{name}, senaste 24 timmarna", "{name}, letzte 24 Stunden";
    temperatures: "Temperatures", "Temperaturen", "Temperaturer", "Temperaturer", "Temperaturen";
    supply_short: "Supply", "Aanvoer", "Fremløb", "Framledning", "Vorlauf";
    back_short: "Return", "Retour", "Retur", "Retur", "Rücklauf";
    per_hour: "{name} per hour", "{name} per uur", "{name} pr. time", "{name} per timme",
        "{name} pro Stunde";
    per_day: "{name} per day", "{name} per dag", "{name} pr. dag", "{name} per dag",
        "{name} pro Tag";
    as_table: "As a table", "Als tabel", "Som tabel", "Som tabell", "Als Tabelle";
    time: "Time", "Tijdstip", "Tidspunkt", "Tid", "Zeit";
    day: "Day", "Dag", "Dag", "Dag", "Tag";
    day_short: "{day}/{month}", "{day}-{month}", "{day}/{month}", "{day}/{month}", "{day}.{month}.";
    lowest: "Lowest", "Laagste", "Laveste", "Lägsta", "Minimum";
    highest: "Highest", "Hoogste", "Højeste", "Högsta", "Maximum";
    not_known: "not known", "onbekend", "ukendt", "okänt", "unbekannt";
    so_far: "so far", "tot nu toe", "indtil nu", "hittills", "bisher";
    from_to: "from {from} to {to} {unit}", "van {from} tot {to} {unit}", "fra {from} til {to} {unit}",
        "från {from} till {to} {unit}", "von {from} bis {to} {unit}";
    no_charts:
        "Charts appear here after a few readings.",
        "Hier verschijnen grafieken zodra de meter een paar keer is uitgelezen.",
        "Graferne vises her, når måleren er blevet aflæst et par gange.",
        "Diagrammen visas här när mätaren har lästs av några gånger.",
        "Hier erscheinen Diagramme, sobald der Zähler einige Male ausgelesen wurde.";
    no_charts_kept:
        "There are no charts while readings are not stored.",
        "Er zijn geen grafieken zolang uitlezingen niet worden opgeslagen.",
        "Der vises ingen grafer, så længe aflæsningerne ikke gemmes.",
        "Inga diagram visas så länge avläsningarna inte sparas.",
        "Solange keine Messwerte gespeichert werden, gibt es keine Diagramme.";
    memory_trouble:
        "Readings are not stored", "Uitlezingen worden niet opgeslagen",
        "Aflæsningerne gemmes ikke", "Avläsningarna sparas inte",
        "Messwerte werden nicht gespeichert";
    memory_goes_on:
        "Everything else works. Recent readings stay in memory for a while, and kamstrup2mqtt keeps \
         trying to store them.",
        "Al het andere werkt. Recente uitlezingen blijven een tijdje in het geheugen staan, en \
         kamstrup2mqtt blijft proberen ze op te slaan.",
        "Alt andet virker. De nyeste aflæsninger ligger et stykke tid i hukommelsen, og \
         kamstrup2mqtt bliver ved med at forsøge at gemme dem.",
        "Allt annat fungerar. De senaste avläsningarna ligger kvar i minnet ett tag, och \
         kamstrup2mqtt fortsätter att försöka spara dem.",
        "Alles andere funktioniert. Neue Messwerte bleiben eine Weile im Arbeitsspeicher, und \
         kamstrup2mqtt versucht weiterhin, sie zu speichern.";

    // The line to the meter.
    line: "Optical head today", "Optische verbinding vandaag", "Optisk forbindelse i dag",
        "Optisk kommunikation i dag", "Optische Verbindung heute";
    polls: "Readings", "Uitlezingen", "Aflæsninger", "Avläsningar", "Auslesungen";
    polls_failed: "Failed readings", "Mislukte uitlezingen", "Mislykkede aflæsninger",
        "Misslyckade avläsningar", "Fehlgeschlagene Auslesungen";
    retries: "Repeated requests", "Herhaalde verzoeken", "Gentagne forespørgsler",
        "Upprepade förfrågningar", "Wiederholte Anfragen";
    bad_checksums: "Damaged answers", "Beschadigde antwoorden", "Beskadigede svar", "Skadade svar",
        "Beschädigte Antworten";
    bytes_sent: "Bytes sent", "Verzonden bytes", "Sendte byte", "Skickade byte", "Gesendete Bytes";
    bytes_received: "Bytes received", "Ontvangen bytes", "Modtagne byte", "Mottagna byte",
        "Empfangene Bytes";
    awake: "Meter awake because of readings", "Meter wakker door uitlezingen",
        "Måleren vågen på grund af aflæsninger", "Mätaren vaken på grund av avläsningar",
        "Zähler wach durch Auslesungen";
    line_good:
        "The optical head works well.",
        "De leeskop werkt goed.",
        "Læsehovedet fungerer godt.",
        "Läshuvudet fungerar bra.",
        "Der Lesekopf arbeitet zuverlässig.";
    line_bad:
        "Many answers were damaged or missing. The optical head may be out of place. Use the placement \
         aid of this meter.",
        "Veel antwoorden waren beschadigd of bleven uit. Misschien zit de leeskop niet goed. \
         Gebruik de uitlijnhulp van deze meter.",
        "Mange svar var beskadigede eller udeblev. Læsehovedet sidder måske forkert. Brug \
         målerens placeringshjælp.",
        "Många svar var skadade eller uteblev. Läshuvudet sitter kanske inte rätt. Använd \
         mätarens placeringshjälp.",
        "Viele Antworten waren beschädigt oder blieben aus. Vielleicht sitzt der Lesekopf nicht \
         richtig. Die Ausrichthilfe dieses Zählers hilft weiter.";
    battery:
        "Each reading uses a little of the meter's battery. A longer time between readings saves it.",
        "Elke uitlezing kost de meter een beetje batterij. Met een langer uitleesinterval gaat de \
         batterij langer mee.",
        "Hver aflæsning bruger lidt af målerens batteri. Med et længere aflæsningsinterval holder \
         batteriet længere.",
        "Varje avläsning förbrukar lite av mätarens batteri. Med ett längre avläsningsintervall \
         räcker batteriet längre.",
        "Jede Auslesung kostet den Zähler etwas Batterie. Ein längeres Ausleseintervall schont \
         sie.";

    // The token.
    token: "Token", "Token", "Token", "Token", "Token";
    token_head: "Unlock the buttons", "Knoppen ontgrendelen", "Lås knapperne op",
        "Lås upp knapparna", "Tasten entsperren";
    token_words:
        "To press buttons on this device, enter the token of kamstrup2mqtt once. It is the value of \
         web.token in the configuration. Without that setting, the log of kamstrup2mqtt says at each \
         start where the token is.",
        "Wil je op dit apparaat knoppen gebruiken, voer dan één keer het token van kamstrup2mqtt in. \
         Dat is de waarde van web.token in de configuratie. Zonder die instelling staat \
         bij elke start in het logboek van kamstrup2mqtt waar het token is.",
        "Indtast tokenet fra kamstrup2mqtt én gang for at bruge knapperne på denne enhed. Det er \
         værdien af web.token i konfigurationen. Uden den indstilling står der ved hver start i loggen \
         fra kamstrup2mqtt, hvor tokenet er.",
        "Ange token för kamstrup2mqtt en gång för att använda knapparna på den här enheten. Det är \
         värdet av web.token i konfigurationen. Utan den inställningen står det vid varje start i loggen \
         för kamstrup2mqtt var token finns.",
        "Um auf diesem Gerät Tasten zu benutzen, einmal das Token von kamstrup2mqtt eingeben. Es ist \
         der Wert von web.token in der Konfiguration. Ohne diese Einstellung steht bei jedem Start \
         im Protokoll von kamstrup2mqtt, wo das Token ist.";
    token_enter: "Unlock", "Ontgrendelen", "Lås op", "Lås upp", "Entsperren";
    token_needed:
        "Nothing was done. On this device, enter the token first.",
        "Er is niets gedaan. Voer op dit apparaat eerst het token in.",
        "Der er ikke sket noget. Indtast først tokenet på denne enhed.",
        "Ingenting gjordes. Ange först token på den här enheten.",
        "Es wurde nichts ausgeführt. Auf diesem Gerät zuerst das Token eingeben.";
    token_wrong:
        "This token is wrong. Check it and try again.",
        "Dit token klopt niet. Controleer het en probeer het nog eens.",
        "Tokenet er forkert. Kontrollér det, og prøv igen.",
        "Token är fel. Kontrollera den och försök igen.",
        "Dieses Token ist falsch. Bitte prüfen und noch einmal versuchen.";
    token_wait:
        "Too many wrong tokens. Try again in {left} s.",
        "Te veel verkeerde tokens. Probeer het over {left} s nog eens.",
        "For mange forkerte tokens. Prøv igen om {left} s.",
        "För många felaktiga token. Försök igen om {left} s.",
        "Zu viele falsche Tokens. In {left} s noch einmal versuchen.";
    token_taken:
        "The buttons now work on this device.",
        "De knoppen werken nu op dit apparaat.",
        "Knapperne virker nu på denne enhed.",
        "Knapparna fungerar nu på den här enheten.",
        "Die Tasten funktionieren jetzt auf diesem Gerät.";

    // The placement aid.
    placement: "Placement aid", "Uitlijnhulp", "Placeringshjælp", "Placeringshjälp",
        "Ausrichthilfe";
    placement_words:
        "For two minutes, kamstrup2mqtt sends the meter one request a second. Move and turn the \
         optical head until the meter answers every time. The normal readings continue meanwhile.",
        "De meter krijgt twee minuten lang elke seconde een verzoek. Verschuif en draai de leeskop \
         tot de meter elke keer antwoordt. Het uitlezen gaat intussen gewoon door.",
        "I to minutter får måleren en forespørgsel i sekundet. Flyt og drej læsehovedet, indtil \
         måleren svarer hver gang. Imens fortsætter den normale aflæsning.",
        "Under två minuter får mätaren en förfrågan i sekunden. Flytta och vrid läshuvudet tills \
         mätaren svarar varje gång. Under tiden fortsätter avläsningen som vanligt.",
        "Zwei Minuten lang wird der Zähler jede Sekunde abgefragt. Den Lesekopf verschieben und \
         drehen, bis der Zähler jedes Mal antwortet. Das normale Auslesen läuft währenddessen weiter.";
    placement_key:
        "If the meter never answers, press a key on it.",
        "Antwoordt de meter nooit, druk dan op een toets van de meter.",
        "Svarer måleren slet ikke, så tryk på en knap på måleren.",
        "Svarar mätaren inte alls trycker du på en knapp på mätaren.",
        "Antwortet der Zähler nie, eine Taste am Zähler drücken.";
    placement_lift:
        "If the meter never answers, lift the head off and put it back: this meter has no keys.",
        "Antwoordt de meter nooit, neem de leeskop er dan af en zet hem terug: deze meter heeft geen \
         toetsen.",
        "Svarer måleren slet ikke, så løft læsehovedet af, og sæt det på igen: denne måler har ingen \
         knapper.",
        "Svarar mätaren inte alls lyfter du av läshuvudet och sätter tillbaka det: den här mätaren \
         har inga knappar.",
        "Antwortet der Zähler nie, den Lesekopf abnehmen und wieder aufsetzen: Dieser Zähler hat keine \
         Tasten.";
    placement_key_or_lift:
        "If the meter never answers, press a key on it. If it has none, lift the head off and put it \
         back.",
        "Antwoordt de meter nooit, druk dan op een toets van de meter. Heeft hij geen toetsen, neem de \
         leeskop er dan af en zet hem terug.",
        "Svarer måleren slet ikke, så tryk på en knap på måleren. Har den ingen knapper, så løft \
         læsehovedet af, og sæt det på igen.",
        "Svarar mätaren inte alls trycker du på en knapp på mätaren. Har den inga knappar lyfter du \
         av läshuvudet och sätter tillbaka det.",
        "Antwortet der Zähler nie, eine Taste am Zähler drücken. Hat er keine, den Lesekopf abnehmen \
         und wieder aufsetzen.";
    placement_start: "Start placing", "Uitlijnen starten", "Start placeringshjælp",
        "Starta placeringshjälpen", "Ausrichten starten";
    placement_waits:
        "Waiting for the port.", "Wachten op de poort.", "Venter på porten.", "Väntar på porten.",
        "Warten auf den Anschluss.";
    placement_ended:
        "Last time, the meter answered {hits} of {asked} requests.",
        "De vorige keer beantwoordde de meter {hits} van de {asked} verzoeken.",
        "Sidste gang besvarede måleren {hits} af {asked} forespørgsler.",
        "Förra gången besvarade mätaren {hits} av {asked} förfrågningar.",
        "Beim letzten Mal hat der Zähler {hits} von {asked} Anfragen beantwortet.";
    hit: "Answered", "Antwoord", "Svar", "Svar", "Antwort";
    miss: "No answer", "Geen antwoord", "Intet svar", "Inget svar", "Keine Antwort";
    hits_of:
        "{hits} of {asked} answered, {left} s left",
        "{hits} van {asked} beantwoord, nog {left} s",
        "{hits} af {asked} besvaret, {left} s tilbage",
        "{hits} av {asked} besvarade, {left} s kvar",
        "{hits} von {asked} beantwortet, noch {left} s";
    sound: "Sound", "Geluid", "Lyd", "Ljud", "Ton";
    stop: "Stop", "Stoppen", "Stop", "Stoppa", "Stoppen";

    // The search for registers.
    scan: "Search for more values", "Meer waarden zoeken", "Find flere værdier",
        "Sök efter fler värden", "Weitere Werte suchen";
    scan_words:
        "The search asks the meter for every value that it might have. This takes a few minutes and \
         uses a little of the meter's battery. The normal readings continue meanwhile.",
        "Alle waarden die de meter kan hebben, worden opgevraagd. Dat duurt een paar minuten en kost de \
         meter een beetje batterij. Het uitlezen gaat intussen gewoon door.",
        "Gennemgår alle de værdier, som måleren kan have. Det tager nogle minutter og bruger lidt af målerens \
         batteri. Imens fortsætter den normale aflæsning.",
        "Går igenom alla värden som mätaren kan ha. Det tar några minuter och förbrukar lite av mätarens \
         batteri. Under tiden fortsätter avläsningen som vanligt.",
        "Alle Werte, die der Zähler haben kann, werden abgefragt. Das dauert einige Minuten und kostet den \
         Zähler etwas Batterie. Das normale Auslesen läuft währenddessen weiter.";
    scan_start: "Start search", "Zoeken starten", "Start søgning", "Starta sökning", "Suche starten";
    scan_progress:
        "{asked} of {of} registers checked, {found} found",
        "{asked} van {of} registers opgevraagd, {found} gevonden",
        "{asked} af {of} registre gennemgået, {found} fundet",
        "{asked} av {of} register kontrollerade, {found} hittade",
        "{asked} von {of} Registern abgefragt, {found} gefunden";
    scan_list: "Names for the configuration", "Voor de configuratie", "Til konfigurationen",
        "Till konfigurationen", "Für die Konfiguration";
    register: "Register", "Register", "Register", "Register", "Register";
    copy: "Copy", "Kopiëren", "Kopiér", "Kopiera", "Kopieren";
    copied: "Copied.", "Gekopieerd.", "Kopieret.", "Kopierat.", "Kopiert.";
    not_copied:
        "The browser does not allow copying. Select the text and copy it.",
        "De browser staat kopiëren niet toe. Selecteer de tekst en kopieer die zelf.",
        "Browseren tillader ikke kopiering. Markér teksten, og kopiér den selv.",
        "Webbläsaren tillåter inte kopiering. Markera texten och kopiera den själv.",
        "Der Browser lässt das Kopieren nicht zu. Den Text markieren und selbst kopieren.";

    // Setup.
    settings_broken:
        "The configuration is invalid", "De configuratie is ongeldig", "Konfigurationen er ugyldig",
        "Konfigurationen är ogiltig", "Die Konfiguration ist ungültig";
    settings_odd: "Check the configuration", "Controleer de configuratie", "Tjek konfigurationen",
        "Kontrollera konfigurationen", "Konfiguration prüfen";
    setup: "Setup", "Configuratie", "Opsætning", "Konfiguration", "Einrichtung";
    ports: "Serial ports", "Seriële poorten", "Serielle porte", "Serieportar",
        "Serielle Anschlüsse";
    ports_none:
        "This machine has no serial port. Plug in the optical head, then reload the page.",
        "Geen seriële poorten gevonden. Sluit de leeskop aan en laad de pagina opnieuw.",
        "Der blev ikke fundet nogen serielle porte. Tilslut læsehovedet, og genindlæs siden.",
        "Inga serieportar hittades. Anslut läshuvudet och ladda om sidan.",
        "Keine seriellen Anschlüsse gefunden. Den Lesekopf einstecken und die Seite neu laden.";
    ports_none_needed:
        "This machine has no serial port, and needs none for a serial server.",
        "Geen seriële poorten gevonden. Voor een seriële server zijn ze ook niet nodig.",
        "Der blev ikke fundet nogen serielle porte. En seriel server kræver heller ingen.",
        "Inga serieportar hittades. En serieserver kräver inte heller någon.",
        "Keine seriellen Anschlüsse gefunden. Ein serieller Server braucht auch keinen.";
    port_unused: "not used by kamstrup2mqtt", "niet in gebruik door kamstrup2mqtt",
        "bruges ikke af kamstrup2mqtt", "används inte av kamstrup2mqtt",
        "von kamstrup2mqtt nicht verwendet";
    port_busy: "in use by another program", "in gebruik door een ander programma",
        "bruges af et andet program", "används av ett annat program",
        "von einem anderen Programm belegt";
    port_of: "used for {meter}", "gebruikt voor {meter}", "bruges til {meter}",
        "används för {meter}", "verwendet für {meter}";
    configuration: "Effective settings", "Actieve instellingen", "Aktive indstillinger",
        "Aktiva inställningar", "Aktive Einstellungen";
    masked:
        "Passwords are hidden.",
        "Wachtwoorden zijn verborgen.",
        "Adgangskoder er skjult.",
        "Lösenord är dolda.",
        "Passwörter sind verborgen.";
    setting: "Setting", "Instelling", "Indstilling", "Inställning", "Einstellung";
    origin: "Source", "Herkomst", "Kilde", "Källa", "Herkunft";
    broker: "MQTT broker", "MQTT-broker", "MQTT-broker", "MQTT-broker", "MQTT-Broker";
    broker_unknown:
        "The broker is not yet known.",
        "De broker is nog niet bekend.",
        "Brokeren kendes endnu ikke.",
        "Brokern är inte känd än.",
        "Der Broker ist noch nicht bekannt.";
    broker_connecting:
        "Connecting to {name}.",
        "Verbinding maken met {name}.",
        "Opretter forbindelse til {name}.",
        "Ansluter till {name}.",
        "Verbindung zu {name} wird aufgebaut.";
    broker_connected:
        "Connected to {name} for {time}.",
        "Al {time} verbonden met {name}.",
        "Forbundet til {name} i {time}.",
        "Ansluten till {name} i {time}.",
        "Seit {time} mit {name} verbunden.";
    broker_down:
        "Not connected to {name} for {time}.",
        "Al {time} geen verbinding met {name}.",
        "Ingen forbindelse til {name} i {time}.",
        "Ingen anslutning till {name} på {time}.",
        "Seit {time} keine Verbindung zu {name}.";
    supervisor: "Home Assistant Supervisor", "Home Assistant Supervisor",
        "Home Assistant Supervisor", "Home Assistant Supervisor", "Home Assistant Supervisor";
    supervisor_asked:
        "Asking the Supervisor for the MQTT broker.",
        "De gegevens van de MQTT-broker worden opgevraagd bij de Supervisor.",
        "Henter oplysninger om MQTT-brokeren fra Supervisor.",
        "Hämtar uppgifter om MQTT-brokern från Supervisor.",
        "Die Daten des MQTT-Brokers werden beim Supervisor abgefragt.";
    supervisor_answered:
        "The Supervisor has named the MQTT broker.",
        "De Supervisor heeft de gegevens van de MQTT-broker doorgegeven.",
        "Supervisor har oplyst, hvilken MQTT-broker der skal bruges.",
        "Supervisor har lämnat uppgifter om MQTT-brokern.",
        "Der Supervisor hat die Daten des MQTT-Brokers mitgeteilt.";

    // The log.
    log: "Log", "Logboek", "Log", "Logg", "Protokoll";
    log_words:
        "The latest lines, newest last.",
        "De laatste regels, de nieuwste als laatste.",
        "De seneste linjer, de nyeste til sidst.",
        "De senaste raderna, de nyaste sist.",
        "Die letzten Zeilen, die neueste zuletzt.";
    log_level: "Show", "Toon", "Vis", "Visa", "Anzeigen";
    log_all: "all", "alles", "alt", "allt", "alles";
    log_warnings: "warnings and errors", "waarschuwingen en fouten", "advarsler og fejl",
        "varningar och fel", "Warnungen und Fehler";
    log_errors: "errors", "fouten", "fejl", "fel", "Fehler";
    log_apply: "Filter", "Filteren", "Filtrér", "Filtrera", "Filtern";
    log_empty:
        "No matching lines.",
        "Geen regels gevonden.",
        "Ingen linjer fundet.",
        "Inga rader hittades.",
        "Keine passenden Zeilen.";
    log_copy: "Copy for a bug report", "Kopiëren voor een foutrapport", "Kopiér til en fejlrapport",
        "Kopiera till en felrapport", "Für einen Fehlerbericht kopieren";

    // Charts.
    range_day: "24 hours", "24 uur", "24 timer", "24 timmar", "24 Stunden";
    range_week: "7 days", "7 dagen", "7 dage", "7 dagar", "7 Tage";
    range_month: "30 days", "30 dagen", "30 dage", "30 dagar", "30 Tage";
    range_year: "12 months", "12 maanden", "12 måneder", "12 månader", "12 Monate";
    last_week: "{name}, last 7 days", "{name}, afgelopen 7 dagen", "{name}, seneste 7 dage",
        "{name}, senaste 7 dagarna", "{name}, letzte 7 Tage";
    last_month: "{name}, last 30 days", "{name}, afgelopen 30 dagen", "{name}, seneste 30 dage",
        "{name}, senaste 30 dagarna", "{name}, letzte 30 Tage";
    last_year: "{name}, last 12 months", "{name}, afgelopen 12 maanden",
        "{name}, seneste 12 måneder", "{name}, senaste 12 månaderna", "{name}, letzte 12 Monate";
    per_month: "{name} per month", "{name} per maand", "{name} pr. måned", "{name} per månad",
        "{name} pro Monat";
    before_day: "The previous 24 hours", "De 24 uur ervoor", "De foregående 24 timer",
        "Föregående 24 timmar", "Die 24 Stunden davor";
    before_week: "The previous 7 days", "De 7 dagen ervoor", "De foregående 7 dage",
        "Föregående 7 dagar", "Die 7 Tage davor";
    before_month: "The previous 30 days", "De 30 dagen ervoor", "De foregående 30 dage",
        "Föregående 30 dagar", "Die 30 Tage davor";
    before_year: "The previous 12 months", "De 12 maanden ervoor", "De foregående 12 måneder",
        "Föregående 12 månader", "Die 12 Monate davor";
    today_so_far: "Today so far", "Vandaag tot nu toe", "Indtil nu i dag", "Hittills i dag",
        "Heute bisher";
    month_so_far: "This month so far", "Deze maand tot nu toe", "Indtil nu denne måned",
        "Hittills denna månad", "Diesen Monat bisher";
    total_of_part: "only for this part: the other readings are missing",
        "alleen voor dit deel: de andere uitlezingen ontbreken",
        "kun for denne del: de øvrige aflæsninger mangler",
        "endast för den här delen: övriga avläsningar saknas",
        "nur für diesen Teil: Die übrigen Messwerte fehlen";
    total_missing: "not known: readings are missing", "onbekend: er ontbreken uitlezingen",
        "ukendt: der mangler aflæsninger", "okänt: avläsningar saknas",
        "unbekannt: Es fehlen Messwerte";
    total_fell: "not known: the counter was reset or the meter replaced",
        "onbekend: de teller is op nul gezet of de meter is vervangen",
        "ukendt: tælleren er nulstillet, eller måleren er udskiftet",
        "okänt: räkneverket har nollställts eller mätaren har bytts ut",
        "unbekannt: Das Zählwerk wurde zurückgesetzt oder der Zähler getauscht";
    month: "Month", "Maand", "Måned", "Månad", "Monat";
    months: "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "jan feb mrt apr mei jun jul aug sep okt nov dec",
        "jan feb mar apr maj jun jul aug sep okt nov dec",
        "jan feb mar apr maj jun jul aug sep okt nov dec",
        "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez";
    mean: "Mean", "Gemiddelde", "Gennemsnit", "Medelvärde", "Mittelwert";
    mean_words: "{mean} {unit} on average (from {low} to {high})",
        "gemiddeld {mean} {unit} (van {low} tot {high})",
        "{mean} {unit} i gennemsnit (fra {low} til {high})",
        "{mean} {unit} i genomsnitt (från {low} till {high})",
        "{mean} {unit} im Mittel (von {low} bis {high})";
    no_charts_of_range:
        "There are not enough readings for this range yet.",
        "Er zijn nog niet genoeg uitlezingen voor deze periode.",
        "Der er endnu ikke nok aflæsninger for denne periode.",
        "Det finns ännu inte tillräckligt många avläsningar för den här perioden.",
        "Für diesen Zeitraum gibt es noch nicht genug Messwerte.";
}
