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
    # Each file by its hash, those that torch brought in replaced; then vigil, which brings nothing.
    "$pip" install --no-deps --force-reinstall --require-hashes --requirement deploy/requirements.lock
    "$pip" install --no-deps .
    "$pip" check
    # after the check: it asks for a second OpenCV, which it needs for masks only
    "$pip" install --no-deps --require-hashes --requirement deploy/trackeval.lock
    "${pip%/pip}/vigil" models verify
    ;;
  *)
    echo "usage: install.sh torch|vigil" >&2
    exit 2
    ;;
esac
