#!/bin/sh
# The Dockerfile's steps, which also run without Docker: VENV=/tmp/v sh deploy/install.sh torch, then vigil,
# then compiled.
#
# TORCH_INDEX: where torch comes from; empty: where pip is set to look.
# COMPILED: the models to compile for this processor; empty: none.
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
  compiled)
    # Out of the checkout: the models of the installed vigil are meant, not those that lie here.
    cd /
    for model in ${COMPILED-vigil-det-n}; do
      "${pip%/pip}/vigil" models compile "$model"
    done
    ;;
  *)
    echo "usage: install.sh torch|vigil|compiled" >&2
    exit 2
    ;;
esac
