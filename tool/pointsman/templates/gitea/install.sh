# Installs the tool of the commit that is checked out into .venv. Every workflow runs it: bash .gitea/install.sh
set -eu
cd "$(dirname "$0")/.."

python3 -m venv --clear .venv
.venv/bin/pip install --quiet --require-hashes --requirement requirements.txt
.venv/bin/pip install --quiet --no-index --no-deps --no-build-isolation .
