#!/usr/bin/env bash
# Makes a virtual environment with everything that a run needs, pinned as in constraints.txt but for bitsandbytes.
#
#   nightly/install.sh VENV RELEASE
#
# RELEASE is a version of bitsandbytes, or the file or address of a wheel. TORCH_INDEX, if set, is the package index that
# torch comes from: a machine without a GPU does not need the CUDA packages that are the default's.
set -euo pipefail
if [ $# -ne 2 ]; then
  echo "usage: nightly/install.sh VENV RELEASE" >&2
  exit 2
fi
venv=$(realpath -m "$1")
release=$2
cd "$(dirname "$0")/.."

python3 -m venv --clear "$venv"
pinned=$venv/constraints.txt
sed '/^bitsandbytes==/d' constraints.txt >"$pinned"
pip=("$venv/bin/pip" install --quiet --disable-pip-version-check)

if [ -n "${TORCH_INDEX:-}" ]; then
  "${pip[@]}" --constraint "$pinned" --index-url "$TORCH_INDEX" torch
fi
case $release in
  *.whl)
    "${pip[@]}" --constraint "$pinned" .
    # Upstream's preview wheel says another version than its name, and a later one than this project claims to support.
    "${pip[@]}" --no-deps --force-reinstall "$release"
    ;;
  *) "${pip[@]}" --constraint "$pinned" . "bitsandbytes==$release" ;;
esac
