//! The texts of the setup page, as the other catalogue has those of the status page.

catalogue! {
    // The frame, and who may set up.
    title: "Set up kamstrup2mqtt", "kamstrup2mqtt instellen", "Sæt kamstrup2mqtt op",
        "Ställ in kamstrup2mqtt", "kamstrup2mqtt einrichten";
    skip: "Skip to the form", "Direct naar het formulier", "Gå til formularen",
        "Hoppa till formuläret", "Direkt zum Formular";
    steps: "Steps", "Stappen", "Trin", "Steg", "Schritte";
    step_of: "Step {number} of {count}", "Stap {number} van {count}", "Trin {number} af {count}",
        "Steg {number} av {count}", "Schritt {number} von {count}";
    step_done: "done", "klaar", "færdig", "klart", "erledigt";
    head: "Optical head", "Leeskop", "Læsehoved", "Läshuvud", "Lesekopf";
    broker: "MQTT broker", "MQTT-broker", "MQTT-broker", "MQTT-broker", "MQTT-Broker";
    values: "Values", "Waarden", "Værdier", "Värden", "Werte";
    file: "Check and start", "Controleren en starten", "Kontrollér og start",
        "Kontrollera och starta", "Prüfen und starten";
    welcome:
        "kamstrup2mqtt has no configuration yet. In four steps, this page finds the meter, tries \
         the broker, and writes the configuration for you.",
        "kamstrup2mqtt heeft nog geen configuratie. Deze pagina vindt in vier stappen de meter, probeert \
         de broker en schrijft de configuratie voor je.",
        "kamstrup2mqtt har endnu ingen konfiguration. På fire trin finder denne side måleren, prøver \
         brokeren og skriver konfigurationen for dig.",
        "kamstrup2mqtt har ännu ingen konfiguration. I fyra steg hittar den här sidan mätaren, provar \
         brokern och skriver konfigurationen åt dig.",
        "kamstrup2mqtt hat noch keine Konfiguration. In vier Schritten findet diese Seite den \
         Zähler, probiert den Broker und schreibt die Konfiguration.";
    need_head:
        "Put the optical head on the meter, and connect it to this machine or to the network.",
        "Zet de leeskop op de meter, en sluit hem aan op deze machine of op het netwerk.",
        "Sæt læsehovedet på måleren, og slut det til denne maskine eller til netværket.",
        "Sätt läshuvudet på mätaren och anslut det till den här maskinen eller till nätverket.",
        "Den Lesekopf auf den Zähler setzen und mit diesem Rechner oder mit dem Netzwerk verbinden.";
    need_broker:
        "Have the address of your MQTT broker ready, and its user name and password if it needs them.",
        "Houd het adres van je MQTT-broker bij de hand, en de gebruikersnaam en het wachtwoord als \
         die nodig zijn.",
        "Hav adressen på din MQTT-broker klar, og brugernavn og adgangskode, hvis den kræver dem.",
        "Ha adressen till din MQTT-broker till hands, och användarnamn och lösenord om den kräver \
         dem.",
        "Die Adresse des MQTT-Brokers bereithalten, und Benutzername und Passwort, falls er sie \
         verlangt.";
    writes_to: "The configuration will be written to", "De configuratie komt in",
        "Konfigurationen skrives til", "Konfigurationen skrivs till",
        "Die Konfiguration wird geschrieben nach";
    begin: "Start setup", "Instellen starten", "Start opsætning", "Starta inställningen",
        "Einrichtung starten";
    code: "Code", "Code", "Kode", "Kod", "Code";
    code_head: "Enter the code", "Voer de code in", "Indtast koden", "Ange koden",
        "Den Code eingeben";
    code_words:
        "On this device, setting up needs the code that is in the log of kamstrup2mqtt. For a \
         service, `journalctl -u kamstrup2mqtt` shows the log; for a container, `docker logs \
         kamstrup2mqtt`. The code is valid until kamstrup2mqtt stops.",
        "Op dit apparaat is voor het instellen de code nodig die in het logboek van \
         kamstrup2mqtt staat. Bij een service toont `journalctl -u kamstrup2mqtt` het logboek, \
         bij een container `docker logs kamstrup2mqtt`. De code geldt tot kamstrup2mqtt stopt.",
        "På denne enhed kræver opsætningen den kode, der står i loggen fra kamstrup2mqtt. For en \
         tjeneste vises loggen med `journalctl -u kamstrup2mqtt`, for en container med `docker \
         logs kamstrup2mqtt`. Koden gælder, indtil kamstrup2mqtt stopper.",
        "På den här enheten kräver inställningen den kod som står i loggen för kamstrup2mqtt. \
         För en tjänst visas loggen med `journalctl -u kamstrup2mqtt`, för en container med \
         `docker logs kamstrup2mqtt`. Koden gäller tills kamstrup2mqtt stoppar.",
        "Auf diesem Gerät braucht die Einrichtung den Code, der im Protokoll von kamstrup2mqtt \
         steht. Bei einem Dienst zeigt `journalctl -u kamstrup2mqtt` das Protokoll, bei einem \
         Container `docker logs kamstrup2mqtt`. Der Code gilt, bis kamstrup2mqtt beendet wird.";
    code_configured:
        "Setting up needs the token that the environment variable WEB_TOKEN or WEB_TOKEN_FILE \
         sets. An environment variable is a setting that kamstrup2mqtt gets when it starts, for \
         example from compose.yaml.",
        "Voor het instellen is het token nodig dat de omgevingsvariabele WEB_TOKEN of \
         WEB_TOKEN_FILE instelt. Een omgevingsvariabele is een instelling die kamstrup2mqtt bij \
         het starten krijgt, bijvoorbeeld uit compose.yaml.",
        "Opsætningen kræver det token, som miljøvariablen WEB_TOKEN eller WEB_TOKEN_FILE \
         angiver. En miljøvariabel er en indstilling, som kamstrup2mqtt får ved starten, for \
         eksempel fra compose.yaml.",
        "Inställningen kräver den token som miljövariabeln WEB_TOKEN eller WEB_TOKEN_FILE anger. \
         En miljövariabel är en inställning som kamstrup2mqtt får vid starten, till exempel från \
         compose.yaml.",
        "Die Einrichtung braucht das Token, das die Umgebungsvariable WEB_TOKEN oder \
         WEB_TOKEN_FILE festlegt. Eine Umgebungsvariable ist eine Einstellung, die kamstrup2mqtt \
         beim Start bekommt, zum Beispiel aus compose.yaml.";
    code_enter: "Continue", "Doorgaan", "Fortsæt", "Fortsätt", "Weiter";
    code_wrong:
        "This code is wrong. Check it and try again.",
        "Deze code klopt niet. Controleer hem en probeer het nog eens.",
        "Koden er forkert. Kontrollér den, og prøv igen.",
        "Koden är fel. Kontrollera den och försök igen.",
        "Dieser Code ist falsch. Bitte prüfen und noch einmal versuchen.";
    code_wait:
        "Too many wrong codes. Try again in {left} s.",
        "Te veel verkeerde codes. Probeer het over {left} s nog eens.",
        "For mange forkerte koder. Prøv igen om {left} s.",
        "För många felaktiga koder. Försök igen om {left} s.",
        "Zu viele falsche Codes. In {left} s noch einmal versuchen.";
    taken_head: "Setup is open in another browser", "Het instellen is open in een andere browser",
        "Opsætningen er åben i en anden browser", "Inställningen är öppen i en annan webbläsare",
        "Die Einrichtung ist in einem anderen Browser geöffnet";
    taken:
        "Finish there. If the other browser does nothing for {minutes} minutes, or if kamstrup2mqtt \
         restarts, you can set up here.",
        "Maak het daar af. Als de andere browser {minutes} minuten niets doet, of als kamstrup2mqtt \
         opnieuw start, kun je het hier instellen.",
        "Gør det færdigt der. Hvis den anden browser ikke gør noget i {minutes} minutter, eller hvis \
         kamstrup2mqtt genstarter, kan du fortsætte her.",
        "Slutför det där. Om den andra webbläsaren inte gör något på {minutes} minuter, eller om \
         kamstrup2mqtt startar om, kan du fortsätta här.",
        "Dort abschließen. Wenn der andere Browser {minutes} Minuten lang nichts tut oder \
         kamstrup2mqtt neu startet, ist die Einrichtung hier möglich.";

    // What several steps have.
    next: "Continue", "Doorgaan", "Fortsæt", "Fortsätt", "Weiter";
    anyway: "Continue anyway", "Toch doorgaan", "Fortsæt alligevel", "Fortsätt ändå",
        "Trotzdem weiter";
    stop: "Stop", "Stoppen", "Stop", "Stoppa", "Abbrechen";
    change: "Change", "Wijzigen", "Skift", "Ändra", "Ändern";
    not_saved:
        "That was not accepted. Check the marked fields.",
        "Dat kan niet zo. Controleer de gemarkeerde velden.",
        "Det blev ikke accepteret. Kontrollér de markerede felter.",
        "Det godtogs inte. Kontrollera de markerade fälten.",
        "Das geht so nicht. Bitte die markierten Felder prüfen.";

    // The head.
    head_question: "Where is the optical head?", "Waar is de leeskop?", "Hvor er læsehovedet?",
        "Var är läshuvudet?", "Wo ist der Lesekopf?";
    no_ports:
        "This machine has no serial port. Plug in the optical head and reload the page, or enter \
         an address.",
        "Deze machine heeft geen seriële poort. Sluit de leeskop aan en laad de pagina opnieuw, \
         of voer een adres in.",
        "Denne maskine har ingen seriel port. Tilslut læsehovedet, og genindlæs siden, eller \
         indtast en adresse.",
        "Den här maskinen har ingen serieport. Anslut läshuvudet och ladda om sidan, eller ange \
         en adress.",
        "Dieser Rechner hat keinen seriellen Anschluss. Den Lesekopf einstecken und die Seite neu \
         laden, oder eine Adresse eingeben.";
    no_ports_container:
        "This container has no serial port. Plug in the optical head, and start the container \
         with its device, for example with `--device /dev/ttyUSB0`. Or enter an address.",
        "Deze container heeft geen seriële poort. Sluit de leeskop aan en start de container met \
         dit apparaat, bijvoorbeeld met `--device /dev/ttyUSB0`. Of voer een adres in.",
        "Denne container har ingen seriel port. Tilslut læsehovedet, og start containeren med \
         enheden, for eksempel med `--device /dev/ttyUSB0`. Eller indtast en adresse.",
        "Den här containern har ingen serieport. Anslut läshuvudet och starta containern med \
         enheten, till exempel med `--device /dev/ttyUSB0`. Eller ange en adress.",
        "Dieser Container hat keinen seriellen Anschluss. Den Lesekopf einstecken und den \
         Container mit diesem Gerät starten, zum Beispiel mit `--device /dev/ttyUSB0`. Oder eine \
         Adresse eingeben.";
    by_address: "Another address", "Een ander adres", "En anden adresse", "En annan adress",
        "Eine andere Adresse";
    not_listed:
        "If the port of the head is not in this list, choose “Another address” and enter its path, \
         such as /dev/ttyAMA0.",
        "Staat de poort van de leeskop niet in deze lijst? Kies dan ‘Een ander adres’ en voer het \
         pad in, bijvoorbeeld /dev/ttyAMA0.",
        "Hvis læsehovedets port ikke er på listen, så vælg “En anden adresse”, og indtast stien, \
         for eksempel /dev/ttyAMA0.",
        "Om läshuvudets port inte finns i listan, välj ”En annan adress” och ange sökvägen, till \
         exempel /dev/ttyAMA0.",
        "Wenn der Anschluss des Lesekopfs nicht in dieser Liste ist, „Eine andere Adresse“ wählen \
         und den Pfad eingeben, zum Beispiel /dev/ttyAMA0.";
    address: "Address of the head", "Adres van de leeskop", "Læsehovedets adresse",
        "Läshuvudets adress", "Adresse des Lesekopfs";
    address_words:
        "A serial server in raw TCP mode: socket://192.168.1.50:2003. An ESPHome node (a device \
         with ESPHome), with its encryption key: esphome://192.168.1.51/?key=… A device of this \
         machine: /dev/ttyUSB0.",
        "Een seriële server in de modus raw TCP: socket://192.168.1.50:2003. Een \
         ESPHome-apparaat met zijn sleutel: esphome://192.168.1.51/?key=… Een apparaat van deze \
         machine: /dev/ttyUSB0.",
        "En seriel server i tilstanden raw TCP: socket://192.168.1.50:2003. En ESPHome-enhed med \
         dens nøgle: esphome://192.168.1.51/?key=… En enhed på denne maskine: /dev/ttyUSB0.",
        "En serieserver i läget raw TCP: socket://192.168.1.50:2003. En ESPHome-enhet med dess \
         krypteringsnyckel: esphome://192.168.1.51/?key=… En enhet på den här maskinen: \
         /dev/ttyUSB0.",
        "Ein serieller Server im Modus raw TCP: socket://192.168.1.50:2003. Ein ESPHome-Gerät \
         mit seinem Schlüssel: esphome://192.168.1.51/?key=… Ein Gerät dieses Rechners: \
         /dev/ttyUSB0.";
    ask: "Read the meter there", "Meter daar uitlezen", "Aflæs måleren der",
        "Läs av mätaren där", "Zähler dort auslesen";
    search_words:
        "The search sends a request to each port of this list, except those that are marked as left \
         out. A port takes up to 15 s.",
        "Een zoekactie stuurt een verzoek naar elke poort die niet wordt overgeslagen. Een poort kost \
         hooguit 15 s.",
        "En søgning sender en forespørgsel til hver port, der ikke springes over. En port tager højst \
         15 s.",
        "En sökning skickar en förfrågan till varje port som inte hoppas över. En port tar högst 15 s.",
        "Eine Suche sendet eine Anfrage an jeden Anschluss, den sie nicht auslässt. Ein Anschluss \
         dauert höchstens 15 s.";
    searching:
        "Searching for the meter: {done} of {count} ports asked.",
        "De meter wordt gezocht: {done} van de {count} poorten gevraagd.",
        "Søger efter måleren: {done} af {count} porte spurgt.",
        "Söker efter mätaren: {done} av {count} portar tillfrågade.",
        "Der Zähler wird gesucht: {done} von {count} Anschlüssen gefragt.";
    found_none:
        "No meter answered. Place the optical head exactly on the meter's optical eye and press a \
         key on the meter, if it has one. Then search again.",
        "Geen enkele meter heeft geantwoord. Zet de leeskop precies op het optische oog van de \
         meter en druk op een toets van de meter, als die er een heeft. Zoek daarna opnieuw.",
        "Ingen måler svarede. Placér læsehovedet præcist på målerens optiske øje, og tryk på en \
         knap på måleren, hvis den har en. Søg derefter igen.",
        "Ingen mätare svarade. Placera läshuvudet exakt på mätarens optiska öga och tryck på en \
         knapp på mätaren, om den har en. Sök sedan igen.",
        "Kein Zähler hat geantwortet. Den Lesekopf genau auf das optische Auge des Zählers setzen \
         und eine Taste am Zähler drücken, falls er eine hat. Dann noch einmal suchen.";
    asking:
        "Reading the meter at {port}. This can take 20 s.",
        "De meter op {port} wordt uitgelezen. Dat kan 20 s duren.",
        "Aflæser måleren på {port}. Det kan tage 20 s.",
        "Läser av mätaren på {port}. Det kan ta 20 s.",
        "Der Zähler an {port} wird ausgelesen. Das kann 20 s dauern.";
    meter_answered:
        "The meter answers: {meter}. {read} of {asked} values were read.",
        "De meter antwoordt: {meter}. {read} van de {asked} waarden zijn uitgelezen.",
        "Måleren svarer: {meter}. {read} af {asked} værdier blev aflæst.",
        "Mätaren svarar: {meter}. {read} av {asked} värden lästes av.",
        "Der Zähler antwortet: {meter}. {read} von {asked} Werten wurden ausgelesen.";
    meter_failed: "The meter was not read", "De meter is niet uitgelezen",
        "Måleren blev ikke aflæst", "Mätaren lästes inte av", "Der Zähler wurde nicht ausgelesen";

    // The broker.
    broker_words:
        "The broker passes the values on to Home Assistant and other programs. kamstrup2mqtt tries the \
         broker as soon as you press the button.",
        "De broker geeft de waarden door aan Home Assistant en andere programma's. kamstrup2mqtt \
         probeert de broker meteen.",
        "Brokeren sender værdierne videre til Home Assistant og andre programmer. kamstrup2mqtt \
         prøver den med det samme.",
        "Brokern skickar värdena vidare till Home Assistant och andra program. kamstrup2mqtt provar \
         den direkt.",
        "Der Broker gibt die Werte an Home Assistant und andere Programme weiter. kamstrup2mqtt \
         probiert ihn sofort.";
    broker_found:
        "A broker answers at {host}.",
        "Op {host} antwoordt een broker.",
        "En broker svarer på {host}.",
        "En broker svarar på {host}.",
        "Unter {host} antwortet ein Broker.";
    host: "Address", "Adres", "Adresse", "Adress", "Adresse";
    host_words:
        "A name or an IP address, for example 192.168.1.10 or broker.lan.",
        "Een naam of een IP-adres, bijvoorbeeld 192.168.1.10 of broker.lan.",
        "Et navn eller en IP-adresse, for eksempel 192.168.1.10 eller broker.lan.",
        "Ett namn eller en IP-adress, till exempel 192.168.1.10 eller broker.lan.",
        "Ein Name oder eine IP-Adresse, zum Beispiel 192.168.1.10 oder broker.lan.";
    port: "Port", "Poort", "Port", "Port", "Port";
    username: "User name", "Gebruikersnaam", "Brugernavn", "Användarnamn", "Benutzername";
    login_words:
        "Leave user name and password empty if the broker needs none.",
        "Laat gebruikersnaam en wachtwoord leeg als de broker die niet nodig heeft.",
        "Lad brugernavn og adgangskode være tomme, hvis brokeren ikke kræver dem.",
        "Lämna användarnamn och lösenord tomma om brokern inte kräver dem.",
        "Benutzername und Passwort leer lassen, wenn der Broker keine verlangt.";
    password: "Password", "Wachtwoord", "Adgangskode", "Lösenord", "Passwort";
    password_kept:
        "A password was entered. Leave the field empty to keep it.",
        "Er is een wachtwoord ingevoerd. Laat het veld leeg om het te houden.",
        "Der er indtastet en adgangskode. Lad feltet være tomt for at beholde den.",
        "Ett lösenord har angetts. Lämna fältet tomt för att behålla det.",
        "Ein Passwort wurde eingegeben. Das Feld leer lassen, um es zu behalten.";
    tls: "Encrypted (TLS, usually port 8883)", "Versleuteld (TLS, meestal poort 8883)",
        "Krypteret (TLS, normalt port 8883)", "Krypterad (TLS, oftast port 8883)",
        "Verschlüsselt (TLS, meist Port 8883)";
    try_broker: "Try the broker", "Broker proberen", "Prøv brokeren", "Prova brokern",
        "Broker probieren";
    trying:
        "Trying the broker {broker}. This can take 20 s.",
        "De broker {broker} wordt geprobeerd. Dat kan 20 s duren.",
        "Prøver brokeren {broker}. Det kan tage 20 s.",
        "Provar brokern {broker}. Det kan ta 20 s.",
        "Der Broker {broker} wird probiert. Das kann 20 s dauern.";
    broker_works:
        "The broker {broker} accepts the login and the messages.",
        "De broker {broker} accepteert de aanmelding en de berichten.",
        "Brokeren {broker} accepterer login og meddelelser.",
        "Brokern {broker} godtar inloggningen och meddelandena.",
        "Der Broker {broker} nimmt die Anmeldung und die Nachrichten an.";
    broker_partly:
        "The broker {broker} accepts the login. Another kamstrup2mqtt seems to use this \
         broker already, so only the login was tried. If that one reads the same meter, stop it.",
        "De broker {broker} accepteert de aanmelding. Een andere kamstrup2mqtt lijkt deze broker al \
         te gebruiken, dus alleen de aanmelding is geprobeerd. Als die dezelfde meter uitleest, stop die \
         dan.",
        "Brokeren {broker} accepterer login. En anden kamstrup2mqtt ser allerede ud til at bruge \
         brokeren, så kun login blev prøvet. Hvis den aflæser den samme måler, så stop den.",
        "Brokern {broker} godtar inloggningen. En annan kamstrup2mqtt verkar redan använda brokern, \
         så bara inloggningen provades. Om den läser av samma mätare, stoppa den.",
        "Der Broker {broker} nimmt die Anmeldung an. Ein anderes kamstrup2mqtt scheint ihn schon zu \
         benutzen, darum wurde nur die Anmeldung probiert. Falls es denselben Zähler ausliest, \
         muss es zuerst gestoppt werden.";
    broker_failed: "The broker {broker} does not work yet", "De broker {broker} werkt nog niet",
        "Brokeren {broker} virker ikke endnu", "Brokern {broker} fungerar inte än",
        "Der Broker {broker} funktioniert noch nicht";

    // The values.
    model: "Model of the meter", "Model van de meter", "Målerens model", "Mätarens modell",
        "Modell des Zählers";
    model_auto: "Find out automatically", "Automatisch bepalen", "Find automatisk ud af det",
        "Ta reda på automatiskt", "Automatisch bestimmen";
    model_generic: "Another Kamstrup meter", "Een andere Kamstrup-meter", "En anden Kamstrup-måler",
        "En annan Kamstrup-mätare", "Ein anderer Kamstrup-Zähler";
    model_words:
        "The number on the meter's front. With it, kamstrup2mqtt can explain the faults that the \
         meter reports.",
        "Het nummer op de voorkant van de meter. Daarmee kan kamstrup2mqtt de storingen uitleggen \
         die de meter meldt.",
        "Tallet på målerens forside. Med det kan kamstrup2mqtt forklare de fejl, som måleren \
         melder.",
        "Numret på mätarens framsida. Med det kan kamstrup2mqtt förklara de fel som mätaren \
         rapporterar.",
        "Die Nummer auf der Vorderseite des Zählers. Mit ihr kann kamstrup2mqtt die Störungen \
         erklären, die der Zähler meldet.";
    which_values: "Which values do you want to read?", "Welke waarden uitlezen?",
        "Hvilke værdier skal aflæses?", "Vilka värden ska läsas av?",
        "Welche Werte sollen ausgelesen werden?";
    more_values:
        "Serial numbers, settings and clock (usually not needed)",
        "Serienummers, instellingen en klok (meestal niet nodig)",
        "Serienumre, indstillinger og ur (normalt ikke nødvendige)",
        "Serienummer, inställningar och klocka (behövs oftast inte)",
        "Seriennummern, Einstellungen und Uhr (meist nicht nötig)";
    scan: "Search for more values", "Meer waarden zoeken", "Find flere værdier",
        "Sök efter fler värden", "Weitere Werte suchen";
    scan_words:
        "A search asks the meter for every value that it might have. This takes a few minutes and uses \
         a little of the meter's battery.",
        "Een zoekactie vraagt alle waarden op die de meter kan hebben. Dat duurt een paar minuten en \
         kost de meter een beetje batterij.",
        "En søgning gennemgår alle de værdier, som måleren kan have. Det tager nogle minutter og \
         bruger lidt af målerens batteri.",
        "En sökning frågar efter alla värden som mätaren kan ha. Det tar några minuter och förbrukar \
         lite av mätarens batteri.",
        "Eine Suche fragt alle Werte ab, die der Zähler haben kann. Das dauert einige Minuten und \
         kostet etwas von seiner Batterie.";
    scanning:
        "Searching: {asked} of {of} registers checked, {found} found.",
        "Er wordt gezocht: {asked} van {of} registers opgevraagd, {found} gevonden.",
        "Søger: {asked} af {of} registre gennemgået, {found} fundet.",
        "Söker: {asked} av {of} register kontrollerade, {found} hittade.",
        "Die Suche läuft: {asked} von {of} Registern abgefragt, {found} gefunden.";
    scan_ended:
        "The search has found {found} values.",
        "De zoekactie heeft {found} waarden gevonden.",
        "Søgningen har fundet {found} værdier.",
        "Sökningen har hittat {found} värden.",
        "Die Suche hat {found} Werte gefunden.";
    scan_early:
        "The search has ended early. It has found {found} values.",
        "De zoekactie is eerder gestopt. Er zijn {found} waarden gevonden.",
        "Søgningen sluttede for tidligt. Den har fundet {found} værdier.",
        "Sökningen avslutades i förtid. Den har hittat {found} värden.",
        "Die Suche wurde vorzeitig beendet. Sie hat {found} Werte gefunden.";

    // The file.
    file_words:
        "This file will be written. Passwords are hidden here, but the file contains them. Only the \
         Linux user that runs kamstrup2mqtt, and that user's group, can read it.",
        "Dit bestand wordt geschreven. Wachtwoorden zijn hier verborgen, en komen wel in het bestand. \
         Alleen de Linux-gebruiker waaronder kamstrup2mqtt draait en diens groep kunnen het lezen.",
        "Denne fil bliver skrevet. Adgangskoder er skjult her og skrives i filen. Kun brugeren, der \
         kører kamstrup2mqtt, og dens gruppe kan læse den.",
        "Den här filen skrivs. Lösenord är dolda här men skrivs i filen. Bara användaren som kör \
         kamstrup2mqtt och dess grupp kan läsa den.",
        "Diese Datei wird geschrieben. Passwörter sind hier verborgen und stehen in der Datei. Nur der \
         Linux-Benutzer, unter dem kamstrup2mqtt läuft, und seine Gruppe können sie lesen.";
    untried_head:
        "The meter has not answered yet.",
        "De meter heeft nog niet geantwoord.",
        "Måleren har endnu ikke svaret.",
        "Mätaren har inte svarat än.",
        "Der Zähler hat noch nicht geantwortet.";
    untried_broker:
        "The broker has not accepted the login yet.",
        "De broker heeft de aanmelding nog niet geaccepteerd.",
        "Brokeren har endnu ikke accepteret login.",
        "Brokern har inte godtagit inloggningen än.",
        "Der Broker hat die Anmeldung noch nicht angenommen.";
    write: "Save and start reading", "Opslaan en uitlezen", "Gem og start aflæsning",
        "Spara och börja läsa av", "Speichern und auslesen";
    not_written: "The file was not written", "Het bestand is niet geschreven",
        "Filen blev ikke skrevet", "Filen skrevs inte", "Die Datei wurde nicht geschrieben";
}
