# The image for use without Home Assistant's Supervisor, whose app has kamstrup2mqtt-addon/Dockerfile:
#
#   docker build -t kamstrup2mqtt:latest .
#   docker run --rm -p 127.0.0.1:8099:8099 -v kamstrup2mqtt:/var/lib/kamstrup2mqtt \
#     --device /dev/ttyUSB0 kamstrup2mqtt:latest
#
# The page at http://127.0.0.1:8099 sets it up. With a configuration of your own, add
# `--mount "type=bind,source=$PWD/my.yaml,target=/app/config.yaml,readonly"`.
#
# TOOLCHAIN and BASE can be other images. With BINARY, a path in the repository, nothing is compiled,
# and TOOLCHAIN can be any image with a shell.
ARG TOOLCHAIN=docker.io/library/rust:1.95.0-alpine3.23
ARG BASE=docker.io/library/alpine:3.24.1

FROM ${TOOLCHAIN} AS build
ARG BINARY
WORKDIR /source
COPY . .
RUN sh packaging/binary.sh "${BINARY}" /out/kamstrup2mqtt

FROM ${BASE}
# For TZ and for brokers with TLS. A base without apk must have them already.
# hadolint ignore=DL3018
RUN if command -v apk >/dev/null; then apk add --no-cache ca-certificates tzdata; fi \
    && test -d /usr/share/zoneinfo && test -d /etc/ssl/certs
COPY --from=build /out/kamstrup2mqtt /usr/bin/kamstrup2mqtt
# The folders of readings and of log files, which are writable even if everything else is read-only.
# The setup page writes its file beside the readings. A new volume inherits their owner. The older
# program's log files are in /app/logs.
RUN install -d -o 1000 -g 20 -m 770 /var/lib/kamstrup2mqtt /var/log/kamstrup2mqtt /app/logs
ENV STATE_DIRECTORY=/var/lib/kamstrup2mqtt
ENV LOGS_DIRECTORY=/var/log/kamstrup2mqtt
# `localhost` is the container itself, and hints say so.
ENV KAMSTRUP2MQTT_CONTAINER=true
VOLUME /var/lib/kamstrup2mqtt
VOLUME /var/log/kamstrup2mqtt
# The folder of the older program's file: the program looks for its file in the working directory.
WORKDIR /app
# Not root. 20 is the group dialout, which owns serial ports. For a device with another group, use
# `--group-add`.
USER 1000:20
# Checks whether the process is running, never whether meter and broker work. The page answers. Nobody
# outside the container can reach it unless WEB_LISTEN or `web.listen` in the file allows that; `health`
# uses the same settings. The setup page listens on all addresses, and so does the file that it writes.
HEALTHCHECK --interval=60s --timeout=5s --start-period=20s \
    CMD ["/usr/bin/kamstrup2mqtt", "health"]
ENTRYPOINT ["/usr/bin/kamstrup2mqtt"]
# With an invalid configuration, the program keeps running and its page shows the errors. The engine would
# restart it again and again otherwise. A command replaces this option.
CMD ["--stay"]

ARG BUILD_VERSION
LABEL org.opencontainers.image.title="kamstrup2mqtt" \
    org.opencontainers.image.description="Reads Kamstrup MULTICAL heat meters and publishes their values to MQTT" \
    org.opencontainers.image.source="https://github.com/kamstrup2mqtt/kamstrup2mqtt" \
    org.opencontainers.image.documentation="https://github.com/kamstrup2mqtt/kamstrup2mqtt#readme" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${BUILD_VERSION}"
