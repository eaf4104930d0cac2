#!/usr/bin/with-contenv sh
# Hands over to the program, which reads the options itself. `with-contenv` gives it the token for
# the Supervisor; `exec` lets it have the signal to stop.
exec /usr/bin/kamstrup2mqtt --options /data/options.json
