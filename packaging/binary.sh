#!/bin/sh
# Installs the program in an image: `binary.sh BINARY TARGET` copies the file BINARY, so that images and
# archives of a release contain the same one. If BINARY is empty, the program is compiled.
set -eu

binary=$1
target=$2

mkdir -p "$(dirname "$target")"
if [ -n "$binary" ]; then
  cp "$binary" "$target"
else
  # The cryptography needs a C library and compiler. Rust's image on Alpine links statically.
  if command -v apk >/dev/null; then apk add --no-cache musl-dev gcc; fi
  cargo build --locked --release --package kamstrup2mqtt --bin kamstrup2mqtt
  cp target/release/kamstrup2mqtt "$target"
fi
chmod 755 "$target"
