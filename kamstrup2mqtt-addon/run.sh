#!/usr/bin/with-contenv sh
# Starts the program, which reads the options itself. `with-contenv` passes it the token for the
# Supervisor, `exec` the signal to stop.
exec /usr/bin/kamstrup2mqtt --options /data/options.json
