#!/bin/sh
# The Dockerfile's steps, which also run without Docker: VENV=/tmp/v sh deploy/install.sh torch, then vigil.
#
# TORCH_INDEX: where torch comes from; empty: where pip is set to look.
set -eu
cd "$(dirname "$0")/.."
pip=${VENV:-/opt/vigil}/bin/pip

case $1 in
  torch)
    "$pip" install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)"
    ;;
  vigil)
    "$pip" install --constraint constraints.txt .
    "$pip" check
    "${pip%/pip}/vigil" models verify
    ;;
  *)
    echo "usage: install.sh torch|vigil" >&2
    exit 2
    ;;
esac
