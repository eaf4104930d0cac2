#!/bin/sh
# Puts the program for an image where it is told: `binary.sh BINARY TARGET`. With BINARY it is that
# file, so that images and archives of a release hold the same one; without, it is compiled.
set -eu

binary=$1
target=$2

mkdir -p "$(dirname "$target")"
if [ -n "$binary" ]; then
  cp "$binary" "$target"
else
  # The C library and compiler that the cryptography wants; Rust's image on Alpine links statically.
  if command -v apk >/dev/null; then apk add --no-cache musl-dev gcc; fi
  cargo build --locked --release --package kamstrup2mqtt --bin kamstrup2mqtt
  cp target/release/kamstrup2mqtt "$target"
fi
chmod 755 "$target"
