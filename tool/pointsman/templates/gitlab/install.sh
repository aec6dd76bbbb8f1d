# Installs the tool of the commit that is checked out into .venv, unless the image has one. Each job runs it.
set -eu
cd "$(dirname "$0")/.."

if command -v pointsman; then
  exit 0
fi
python3 -m venv --clear .venv
.venv/bin/pip install --quiet --require-hashes --requirement requirements.txt
.venv/bin/pip install --quiet --no-index --no-deps --no-build-isolation .
