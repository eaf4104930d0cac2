//! The texts of the page: English, Dutch, Danish, Swedish, German.
//!
//! In all languages, a sentence ends with a full stop, and names in braces stay as they are. No
//! text is translated word by word from English: the words are those of Kamstrup's manuals and of
//! Home Assistant in that language.

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
    live_full:
        "This page no longer updates itself, because too many pages are open. Reload it for newer \
         values.",
        "Deze pagina werkt zichzelf niet meer bij, omdat er te veel pagina's open zijn. Laad haar \
         opnieuw voor nieuwere waarden.",
        "Denne side opdaterer ikke længere sig selv, fordi for mange sider er åbne. Genindlæs den \
         for at se nyere værdier.",
        "Den här sidan uppdateras inte längre av sig själv, eftersom för många sidor är öppna. \
         Ladda om den för att se nyare värden.",
        "Diese Seite aktualisiert sich nicht mehr, weil zu viele Seiten geöffnet sind. Für neuere \
         Werte die Seite neu laden.";
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
        "The meter has been answering for {time}.",
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

    battery_head: "Readings and battery", "Uitlezingen en batterij", "Aflæsninger og batteri",
        "Avläsningar och batteri", "Auslesungen und Batterie";
    battery_condition:
        "The battery lifetimes in Kamstrup's technical description of the MULTICAL 403 apply to at \
         most one reading per hour (5512-1689, page 112).",
        "De batterijlevensduren in Kamstrups technische beschrijving van de MULTICAL 403 gelden \
         voor hoogstens één uitlezing per uur (5512-1689, pagina 112).",
        "Batterilevetiderne i Kamstrups tekniske beskrivelse af MULTICAL 403 gælder for højst én \
         aflæsning i timen (5512-1689, side 112).",
        "Batteriets livslängder i Kamstrups tekniska beskrivning av MULTICAL 403 gäller för högst \
         en avläsning per timme (5512-1689, sida 112).",
        "Die Batterielebensdauern in Kamstrups technischer Beschreibung des MULTICAL 403 gelten \
         für höchstens eine Auslesung pro Stunde (5512-1689, Seite 112).";
    today: "Today", "Vandaag", "I dag", "I dag", "Heute";
    last_30_days: "Last 30 days", "Afgelopen 30 dagen", "Seneste 30 dage", "Senaste 30 dagarna",
        "Letzte 30 Tage";
    bytes: "Bytes", "Bytes", "Byte", "Byte", "Bytes";
    awake_short: "Meter awake", "Meter wakker", "Måleren vågen", "Mätaren vaken", "Zähler wach";
    now: "{value} (now)", "{value} (nu)", "{value} (nu)", "{value} (nu)", "{value} (jetzt)";
    at_most: "at most {value}", "hoogstens {value}", "højst {value}", "högst {value}",
        "höchstens {value}";
    counted_since: "Counted since {time}.", "Geteld sinds {time}.", "Talt siden {time}.",
        "Räknat sedan {time}.", "Gezählt seit {time}.";
    counted_since_exchange:
        "Counted since {time}: this meter has taken the place of another one.",
        "Geteld sinds {time}: deze meter heeft een andere vervangen.",
        "Talt siden {time}: denne måler har erstattet en anden.",
        "Räknat sedan {time}: den här mätaren har ersatt en annan.",
        "Gezählt seit {time}: Dieser Zähler hat einen anderen ersetzt.";
    counted_since_start:
        "Counted since the start of kamstrup2mqtt, {time}.",
        "Geteld sinds de start van kamstrup2mqtt, {time}.",
        "Talt siden kamstrup2mqtt blev startet, {time}.",
        "Räknat sedan kamstrup2mqtt startades, {time}.",
        "Gezählt seit dem Start von kamstrup2mqtt, {time}.";
    projection: "Per day, at other intervals", "Per dag, met andere intervallen",
        "Pr. dag, med andre intervaller", "Per dag, med andra intervall",
        "Pro Tag, bei anderen Intervallen";
    projection_words:
        "Computed from what the readings of this meter have cost so far.",
        "Berekend uit wat de uitlezingen van deze meter tot nu toe hebben gekost.",
        "Beregnet ud fra, hvad aflæsningerne af denne måler hidtil har kostet.",
        "Beräknat utifrån vad avläsningarna av den här mätaren hittills har kostat.",
        "Berechnet aus dem, was die Auslesungen dieses Zählers bisher gekostet haben.";
    no_projection:
        "After a few hours, kamstrup2mqtt also shows what other intervals would cost. It needs more \
         than two seconds between two readings for that.",
        "Na een paar uur toont kamstrup2mqtt ook wat andere intervallen zouden kosten. Daarvoor \
         moeten er meer dan twee seconden tussen twee uitlezingen zitten.",
        "Efter nogle timer viser kamstrup2mqtt også, hvad andre intervaller ville koste. Det kræver \
         mere end to sekunder mellem to aflæsninger.",
        "Efter några timmar visar kamstrup2mqtt också vad andra intervall skulle kosta. Det kräver \
         mer än två sekunder mellan två avläsningar.",
        "Nach einigen Stunden zeigt kamstrup2mqtt auch, was andere Intervalle kosten würden. Dazu \
         müssen zwischen zwei Auslesungen mehr als zwei Sekunden liegen.";

    // The token.
    token: "Token", "Token", "Token", "Token", "Token";
    token_head: "Unlock the buttons", "Knoppen ontgrendelen", "Lås knapperne op",
        "Lås upp knapparna", "Tasten entsperren";
    token_words:
        "To press buttons on this device, enter the token of kamstrup2mqtt once. The token is a \
         password for these buttons. In the configuration, it is `token` under `web`. \
         Without that setting, the log of kamstrup2mqtt says at each start where the token is.",
        "Wil je op dit apparaat knoppen gebruiken, voer dan één keer het token van kamstrup2mqtt \
         in. Het token is een wachtwoord voor deze knoppen. In de configuratie is het \
         `token` onder `web`. Zonder die instelling staat bij elke start in het \
         logboek van kamstrup2mqtt waar het token is.",
        "Indtast tokenet fra kamstrup2mqtt én gang for at bruge knapperne på denne enhed. \
         Tokenet er en adgangskode til disse knapper. I konfigurationen er det `token` \
         under `web`. Uden den indstilling står der ved hver start i loggen fra \
         kamstrup2mqtt, hvor tokenet er.",
        "Ange token för kamstrup2mqtt en gång för att använda knapparna på den här enheten. \
         Token är ett lösenord för de här knapparna. I konfigurationen är det `token` \
         under `web`. Utan den inställningen står det vid varje start i loggen för \
         kamstrup2mqtt var token finns.",
        "Um auf diesem Gerät Tasten zu benutzen, einmal das Token von kamstrup2mqtt eingeben. \
         Das Token ist ein Passwort für diese Tasten. In der Konfiguration ist es \
         `token` unter `web`. Ohne diese Einstellung steht bei jedem Start im \
         Protokoll von kamstrup2mqtt, wo das Token ist.";
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
    token_unknown:
        "The token in the configuration is invalid, so no token is accepted. Fix the configuration.",
        "Het token in de configuratie is ongeldig, dus wordt geen token geaccepteerd. Corrigeer de \
         configuratie.",
        "Tokenet i konfigurationen er ugyldigt, så intet token accepteres. Ret konfigurationen.",
        "Token i konfigurationen är ogiltig, så ingen token godtas. Rätta konfigurationen.",
        "Das Token in der Konfiguration ist ungültig, daher wird kein Token angenommen. Bitte die \
         Konfiguration korrigieren.";
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
         optical head until the meter answers every time. As long as the meter answers, the \
         normal readings continue meanwhile.",
        "De meter krijgt twee minuten lang elke seconde een verzoek. Verschuif en draai de \
         leeskop tot de meter elke keer antwoordt. Zolang de meter antwoordt, gaat het uitlezen \
         intussen gewoon door.",
        "I to minutter får måleren en forespørgsel i sekundet. Flyt og drej læsehovedet, indtil \
         måleren svarer hver gang. Så længe måleren svarer, fortsætter den normale aflæsning \
         imens.",
        "Under två minuter får mätaren en förfrågan i sekunden. Flytta och vrid läshuvudet tills \
         mätaren svarar varje gång. Så länge mätaren svarar fortsätter avläsningen som vanligt \
         under tiden.",
        "Zwei Minuten lang wird der Zähler jede Sekunde abgefragt. Den Lesekopf verschieben und \
         drehen, bis der Zähler jedes Mal antwortet. Solange der Zähler antwortet, läuft das \
         normale Auslesen währenddessen weiter.";
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
        "The search asks the meter for every value that it might have. This takes a few minutes \
         and uses a little of the meter's battery. As long as the meter answers, the normal \
         readings continue meanwhile.",
        "Alle waarden die de meter kan hebben, worden opgevraagd. Dat duurt een paar minuten en \
         kost de meter een beetje batterij. Zolang de meter antwoordt, gaat het uitlezen \
         intussen gewoon door.",
        "Gennemgår alle de værdier, som måleren kan have. Det tager nogle minutter og bruger \
         lidt af målerens batteri. Så længe måleren svarer, fortsætter den normale aflæsning \
         imens.",
        "Går igenom alla värden som mätaren kan ha. Det tar några minuter och förbrukar lite av \
         mätarens batteri. Så länge mätaren svarar fortsätter avläsningen som vanligt under \
         tiden.",
        "Alle Werte, die der Zähler haben kann, werden abgefragt. Das dauert einige Minuten und \
         kostet den Zähler etwas Batterie. Solange der Zähler antwortet, läuft das normale \
         Auslesen währenddessen weiter.";
    scan_start: "Start search", "Zoeken starten", "Start søgning", "Starta sökning", "Suche starten";
    scan_progress:
        "{asked} of {of} registers checked, {found} found",
        "{asked} van {of} registers opgevraagd, {found} gevonden",
        "{asked} af {of} registre gennemgået, {found} fundet",
        "{asked} av {of} register kontrollerade, {found} hittade",
        "{asked} von {of} Registern abgefragt, {found} gefunden";
    scan_list: "Names for the configuration", "Voor de configuratie", "Til konfigurationen",
        "Till konfigurationen", "Für die Konfiguration";
    use_values_words:
        "Tick the values that kamstrup2mqtt is to read.",
        "Vink de waarden aan die kamstrup2mqtt moet uitlezen.",
        "Sæt flueben ved de værdier, som kamstrup2mqtt skal aflæse.",
        "Markera de värden som kamstrup2mqtt ska läsa av.",
        "Die Werte ankreuzen, die kamstrup2mqtt auslesen soll.";
    use_values: "Use these values", "Deze waarden gebruiken", "Brug disse værdier",
        "Använd dessa värden", "Diese Werte verwenden";
    values_taken:
        "kamstrup2mqtt now reads these values: {values}.",
        "kamstrup2mqtt leest nu deze waarden uit: {values}.",
        "kamstrup2mqtt aflæser nu disse værdier: {values}.",
        "kamstrup2mqtt läser nu av dessa värden: {values}.",
        "kamstrup2mqtt liest jetzt diese Werte aus: {values}.";
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
        "Deze machine heeft geen seriële poort. Sluit de leeskop aan en laad de pagina opnieuw.",
        "Denne maskine har ingen seriel port. Tilslut læsehovedet, og genindlæs siden.",
        "Den här maskinen har ingen serieport. Anslut läshuvudet och ladda om sidan.",
        "Dieser Rechner hat keinen seriellen Anschluss. Den Lesekopf einstecken und die Seite neu \
         laden.";
    ports_none_container:
        "This container has no serial port. Plug in the optical head, and start the container \
         with its device, for example with `--device /dev/ttyUSB0`.",
        "Deze container heeft geen seriële poort. Sluit de leeskop aan en start de container met \
         dit apparaat, bijvoorbeeld met `--device /dev/ttyUSB0`.",
        "Denne container har ingen seriel port. Tilslut læsehovedet, og start containeren med \
         enheden, for eksempel med `--device /dev/ttyUSB0`.",
        "Den här containern har ingen serieport. Anslut läshuvudet och starta containern med \
         enheten, till exempel med `--device /dev/ttyUSB0`.",
        "Dieser Container hat keinen seriellen Anschluss. Den Lesekopf einstecken und den \
         Container mit diesem Gerät starten, zum Beispiel mit `--device /dev/ttyUSB0`.";
    ports_none_needed:
        "This machine has no serial port. It needs none, because the optical head is on the network.",
        "Deze machine heeft geen seriële poort. Die is ook niet nodig, want de leeskop zit op het netwerk.",
        "Denne maskine har ingen seriel port. Den behøver heller ingen, fordi læsehovedet er på netværket.",
        "Den här maskinen har ingen serieport. Den behöver inte heller någon, eftersom läshuvudet är på nätverket.",
        "Dieser Rechner hat keinen seriellen Anschluss. Er braucht auch keinen, weil der Lesekopf im Netzwerk ist.";
    port_unused: "not used by kamstrup2mqtt", "niet in gebruik door kamstrup2mqtt",
        "bruges ikke af kamstrup2mqtt", "används inte av kamstrup2mqtt",
        "von kamstrup2mqtt nicht verwendet";
    port_busy: "in use by another program", "in gebruik door een ander programma",
        "bruges af et andet program", "används av ett annat program",
        "von einem anderen Programm belegt";
    port_of: "used for {meter}", "gebruikt voor {meter}", "bruges til {meter}",
        "används för {meter}", "verwendet für {meter}";

    // The search for the optical head.
    find: "Find my meter", "Mijn meter zoeken", "Find min måler", "Hitta min mätare",
        "Meinen Zähler finden";
    find_words:
        "kamstrup2mqtt asks the serial ports for the serial number of a meter. It first lists the \
         ports, and opens none before you start the search.",
        "kamstrup2mqtt vraagt op de seriële poorten naar het serienummer van een meter. Eerst \
         verschijnt een lijst van de poorten. Er wordt geen poort geopend voordat je het zoeken start.",
        "kamstrup2mqtt spørger på de serielle porte efter en målers serienummer. Først vises en liste \
         over portene. Ingen port åbnes, før du starter søgningen.",
        "kamstrup2mqtt frågar på serieportarna efter en mätares serienummer. Först visas en lista \
         över portarna. Ingen port öppnas innan du startar sökningen.",
        "kamstrup2mqtt fragt an den seriellen Anschlüssen nach der Seriennummer eines Zählers. Zuerst \
         erscheint eine Liste der Anschlüsse. Vor dem Start der Suche wird keiner geöffnet.";
    find_will:
        "The search takes up to 15 s for each port. Another device may react to the request. If \
         that could do harm, unplug the device first.",
        "Het zoeken duurt tot 15 s per poort. Een ander apparaat kan op het verzoek reageren. \
         Als dat kwaad kan, koppel dat apparaat dan eerst los.",
        "Søgningen tager op til 15 s pr. port. En anden enhed kan reagere på forespørgslen. Hvis \
         det kan gøre skade, så frakobl først enheden.",
        "Sökningen tar upp till 15 s per port. En annan enhet kan reagera på förfrågan. Om det \
         kan göra skada kopplar du först ur enheten.",
        "Die Suche dauert bis zu 15 s je Anschluss. Ein anderes Gerät kann auf die Anfrage \
         reagieren. Wenn das Schaden anrichten könnte, das Gerät vorher ausstecken.";
    find_start: "Ask these ports", "Deze poorten bevragen", "Spørg disse porte",
        "Fråga dessa portar", "Diese Anschlüsse abfragen";
    find_again: "List the ports again", "Poorten opnieuw tonen", "Vis portene igen",
        "Visa portarna igen", "Anschlüsse neu auflisten";
    find_none:
        "There is no port to ask. Plug in the optical head, then list the ports again.",
        "Er is geen poort om te bevragen. Sluit de leeskop aan en toon de poorten opnieuw.",
        "Der er ingen port at spørge. Tilslut læsehovedet, og vis portene igen.",
        "Det finns ingen port att fråga. Anslut läshuvudet och visa portarna igen.",
        "Es gibt keinen Anschluss zum Abfragen. Den Lesekopf einstecken und die Anschlüsse neu auflisten.";
    find_nothing:
        "No meter answered. Place the optical head exactly on the meter's optical eye and press a key \
         on the meter, if it has one. Then list the ports again.",
        "Geen enkele meter heeft geantwoord. Zet de leeskop precies op het optische oog van de meter en \
         druk op een toets van de meter, als die er een heeft. Toon daarna de poorten opnieuw.",
        "Ingen måler svarede. Placér læsehovedet præcist på målerens optiske øje, og tryk på en knap på \
         måleren, hvis den har en. Vis derefter portene igen.",
        "Ingen mätare svarade. Placera läshuvudet exakt på mätarens optiska öga och tryck på en knapp på \
         mätaren, om den har en. Visa sedan portarna igen.",
        "Kein Zähler hat geantwortet. Den Lesekopf genau auf das optische Auge des Zählers setzen und eine \
         Taste am Zähler drücken, falls er eine hat. Dann die Anschlüsse neu auflisten.";
    find_speed_app:
        "The app reads meters only at 1200 baud. To read this meter, run kamstrup2mqtt without the \
         app, with the setting `baudrate`.",
        "De app leest meters alleen op 1200 baud uit. Gebruik kamstrup2mqtt voor deze meter zonder \
         de app, met de instelling `baudrate`.",
        "Appen aflæser kun målere ved 1200 baud. Brug kamstrup2mqtt uden appen til denne måler, med \
         indstillingen `baudrate`.",
        "Appen läser bara av mätare vid 1200 baud. Använd kamstrup2mqtt utan appen för den här \
         mätaren, med inställningen `baudrate`.",
        "Die App liest Zähler nur mit 1200 Baud aus. Für diesen Zähler kamstrup2mqtt ohne die App \
         benutzen, mit der Einstellung `baudrate`.";
    find_ask: "will be asked", "wordt bevraagd", "bliver spurgt", "kommer att frågas",
        "wird abgefragt";
    find_asking: "is being asked", "wordt nu bevraagd", "bliver spurgt nu", "frågas nu",
        "wird gerade abgefragt";
    find_not_asked: "was not asked", "is niet bevraagd", "blev ikke spurgt", "frågades inte",
        "wurde nicht abgefragt";
    find_left_out: "left out: {reason}", "overgeslagen: {reason}", "udeladt: {reason}",
        "utelämnas: {reason}", "ausgelassen: {reason}";
    find_zigbee: "a Zigbee stick", "een Zigbee-stick", "en Zigbee-stick", "en Zigbee-sticka",
        "ein Zigbee-Stick";
    find_zwave: "a Z-Wave stick", "een Z-Wave-stick", "en Z-Wave-stick", "en Z-Wave-sticka",
        "ein Z-Wave-Stick";
    find_modem: "a modem", "een modem", "et modem", "ett modem", "ein Modem";
    find_gps: "a GPS receiver", "een gps-ontvanger", "en GPS-modtager", "en GPS-mottagare",
        "ein GPS-Empfänger";
    found_meter: "{model}, serial number {serial}", "{model}, serienummer {serial}",
        "{model}, serienummer {serial}", "{model}, serienummer {serial}",
        "{model}, Seriennummer {serial}";
    found_speed:
        "a meter at {baud} baud instead of 1200, serial number {serial}",
        "een meter op {baud} baud in plaats van 1200, serienummer {serial}",
        "en måler ved {baud} baud i stedet for 1200, serienummer {serial}",
        "en mätare på {baud} baud i stället för 1200, serienummer {serial}",
        "ein Zähler mit {baud} Baud statt 1200, Seriennummer {serial}";
    found_older:
        "an answer like that of an older meter (MULTICAL 66C or 401), which kamstrup2mqtt cannot \
         read",
        "een antwoord als van een oudere meter (MULTICAL 66C of 401), die kamstrup2mqtt niet kan \
         uitlezen",
        "et svar som fra en ældre måler (MULTICAL 66C eller 401), som kamstrup2mqtt ikke kan \
         aflæse",
        "ett svar som från en äldre mätare (MULTICAL 66C eller 401), som kamstrup2mqtt inte kan \
         läsa av",
        "eine Antwort wie die eines älteren Zählers (MULTICAL 66C oder 401), den kamstrup2mqtt \
         nicht auslesen kann";
    found_noise: "something answers, but not like a meter", "bytes, maar geen geldig antwoord",
        "byte, men intet gyldigt svar", "byte, men inget giltigt svar",
        "Bytes, aber keine gültige Antwort";
    found_echo:
        "no answer of a meter: a head only sent the request back (an echo)",
        "geen antwoord van een meter: een leeskop stuurde alleen het verzoek terug (een echo)",
        "intet svar fra en måler: et læsehoved sendte kun forespørgslen tilbage (et ekko)",
        "inget svar från en mätare: ett läshuvud skickade bara tillbaka förfrågan (ett eko)",
        "keine Antwort eines Zählers: Ein Lesekopf schickte nur die Anfrage zurück (ein Echo)";
    found_silence: "no answer", "geen antwoord", "intet svar", "inget svar", "keine Antwort";
    found_failed: "cannot be used: {reason}", "niet bruikbaar: {reason}", "kan ikke bruges: {reason}",
        "kan inte användas: {reason}", "nicht verwendbar: {reason}";
    find_use: "Use this port", "Deze poort gebruiken", "Brug denne port", "Använd den här porten",
        "Diesen Anschluss verwenden";
    port_taken:
        "kamstrup2mqtt now uses the port {port}.",
        "kamstrup2mqtt gebruikt nu de poort {port}.",
        "kamstrup2mqtt bruger nu porten {port}.",
        "kamstrup2mqtt använder nu porten {port}.",
        "kamstrup2mqtt verwendet jetzt den Anschluss {port}.";
    // Home Assistant's statistics.
    gaps: "Gaps in Home Assistant's statistics", "Gaten in de statistieken van Home Assistant",
        "Huller i Home Assistants statistik", "Luckor i Home Assistants statistik",
        "Lücken in der Statistik von Home Assistant";
    gaps_words:
        "After an outage, the energy dashboard shows a gap, and then one high bar. kamstrup2mqtt can \
         write the missing hours from its stored readings.",
        "Na een storing toont het energiedashboard een gat en daarna één hoge balk. kamstrup2mqtt \
         kan de ontbrekende uren schrijven uit zijn opgeslagen metingen.",
        "Efter et udfald viser energioversigten et hul og derefter én høj søjle. kamstrup2mqtt kan \
         skrive de manglende timer ud fra sine gemte aflæsninger.",
        "Efter ett avbrott visar energipanelen en lucka och sedan en hög stapel. kamstrup2mqtt kan \
         skriva de timmar som saknas från sina sparade avläsningar.",
        "Nach einem Ausfall zeigt das Energie-Dashboard eine Lücke und danach einen hohen Balken. \
         kamstrup2mqtt kann die fehlenden Stunden aus gespeicherten Ablesungen schreiben.";
    gaps_backup:
        "Make a backup of Home Assistant first: a restored backup undoes everything.",
        "Maak eerst een back-up van Home Assistant: een teruggezette back-up maakt alles ongedaan.",
        "Lav først en sikkerhedskopi af Home Assistant: En gendannet kopi fortryder alt.",
        "Gör först en säkerhetskopia av Home Assistant: en återställd kopia ångrar allt.",
        "Vorher ein Backup von Home Assistant anlegen: Ein wiederhergestelltes Backup macht alles rückgängig.";
    gaps_look: "Look for gaps", "Gaten zoeken", "Find huller", "Sök luckor", "Lücken suchen";
    gaps_fill: "Fill these gaps", "Deze gaten vullen", "Udfyld disse huller", "Fyll dessa luckor",
        "Diese Lücken füllen";
    gaps_undo: "Undo everything that was filled", "Alles wat is gevuld ongedaan maken",
        "Fortryd alt, der er udfyldt", "Ångra allt som har fyllts", "Alles Gefüllte zurücknehmen";
    gaps_waiting:
        "Waiting for Home Assistant. This takes up to 5 minutes.",
        "Wacht op Home Assistant. Dit duurt tot 5 minuten.",
        "Venter på Home Assistant. Det tager op til 5 minutter.",
        "Väntar på Home Assistant. Det tar upp till 5 minuter.",
        "Wartet auf Home Assistant. Das dauert bis zu 5 Minuten.";
    gaps_at: "Working: {number} of {count}.", "Bezig: {number} van {count}.",
        "I gang: {number} af {count}.", "Pågår: {number} av {count}.",
        "In Arbeit: {number} von {count}.";
    gaps_look_stopped: "Stopped. Nothing was written.", "Gestopt. Er is niets geschreven.",
        "Stoppet. Intet er skrevet.", "Stoppad. Inget har skrivits.",
        "Angehalten. Es wurde nichts geschrieben.";
    gaps_fill_stopped:
        "Stopped. What was written so far can be taken back.",
        "Gestopt. Wat tot nu toe is geschreven, kan ongedaan worden gemaakt.",
        "Stoppet. Det, der er skrevet indtil nu, kan fortrydes.",
        "Stoppad. Det som har skrivits hittills kan ångras.",
        "Angehalten. Was bisher geschrieben wurde, lässt sich zurücknehmen.";
    gaps_undo_stopped:
        "Stopped. Press the button again to undo the rest.",
        "Gestopt. Druk opnieuw op de knop om de rest ongedaan te maken.",
        "Stoppet. Tryk på knappen igen for at fortryde resten.",
        "Stoppad. Tryck på knappen igen för att ångra resten.",
        "Angehalten. Ein weiterer Druck auf die Taste nimmt den Rest zurück.";
    gaps_undo_words:
        "Hours that were undone are not filled again.",
        "Uren die ongedaan zijn gemaakt, worden niet opnieuw gevuld.",
        "Timer, der er fortrudt, udfyldes ikke igen.",
        "Timmar som har ångrats fylls inte igen.",
        "Zurückgenommene Stunden werden nicht noch einmal gefüllt.";
    gaps_none:
        "There are no gaps that stored readings can fill.",
        "Er zijn geen gaten die opgeslagen metingen kunnen vullen.",
        "Der er ingen huller, som gemte aflæsninger kan udfylde.",
        "Det finns inga luckor som sparade avläsningar kan fylla.",
        "Es gibt keine Lücken, die gespeicherte Ablesungen füllen können.";
    gaps_would:
        "These hours would be written. Nothing is written yet.",
        "Deze uren zouden worden geschreven. Er is nog niets geschreven.",
        "Disse timer ville blive skrevet. Intet er skrevet endnu.",
        "Dessa timmar skulle skrivas. Inget har skrivits än.",
        "Diese Stunden würden geschrieben. Noch ist nichts geschrieben.";
    gaps_filled: "These hours were written.", "Deze uren zijn geschreven.",
        "Disse timer er skrevet.", "Dessa timmar har skrivits.",
        "Diese Stunden wurden geschrieben.";
    gaps_undone: "These hours were restored.", "Deze uren zijn hersteld.",
        "Disse timer er gendannet.", "Dessa timmar har återställts.",
        "Diese Stunden wurden wiederhergestellt.";
    gaps_nothing_undone: "There was nothing to undo.", "Er was niets om ongedaan te maken.",
        "Der var intet at fortryde.", "Det fanns inget att ångra.",
        "Es gab nichts zurückzunehmen.";
    gaps_more: "… and {count} more", "… en nog {count}", "… og {count} mere", "… och {count} till",
        "… und {count} weitere";
    gaps_entity: "Entity", "Entiteit", "Entitet", "Entitet", "Entität";
    gaps_hours: "Hours", "Uren", "Timer", "Timmar", "Stunden";
    gaps_first: "From", "Van", "Fra", "Från", "Von";
    gaps_last: "To", "Tot", "Til", "Till", "Bis";
    gaps_sum: "Sum in Home Assistant", "Som in Home Assistant", "Sum i Home Assistant",
        "Summa i Home Assistant", "Summe in Home Assistant";
    for_configuration: "For the configuration", "Voor de configuratie", "Til konfigurationen",
        "Till konfigurationen", "Für die Konfiguration";
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

    // Means that suppliers bill by.
    tariff: "Mean values, as your supplier bills them", "Zoals de leverancier afrekent", "Som varmeværket afregner",
        "Så här debiterar leverantören", "Wie der Versorger abrechnet";
    mean_since: "since {time}", "sinds {time}", "siden {time}", "sedan {time}", "seit {time}";
    mean_of_meter: "the meter's own average", "het eigen gemiddelde van de meter",
        "målerens eget gennemsnit", "mätarens eget medelvärde", "der eigene Mittelwert des Zählers";
    mean_return: "Mean return temperature", "Gemiddelde retourtemperatuur",
        "Middel returtemperatur", "Medelvärde returtemperatur", "Mittlere Rücklauftemperatur";

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
    total_of_part:
        "only for the time shown: the other readings are missing",
        "alleen voor deze tijd: andere uitlezingen van de periode ontbreken",
        "kun for dette tidsrum: andre aflæsninger i perioden mangler",
        "bara för den här tiden: andra avläsningar i perioden saknas",
        "nur für diese Zeit: Andere Messwerte des Zeitraums fehlen";
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
