# Installs the tool of the commit that is checked out into .venv. Every workflow runs it: bash .github/install.sh
set -eu
cd "$(dirname "$0")/.."

python -m venv --clear .venv
.venv/bin/pip install --quiet --require-hashes --requirement requirements.txt
.venv/bin/pip install --quiet --no-index --no-deps --no-build-isolation .

# The tool's git reads no GIT_* variable, and no file holds the token: git takes it from the one step that has it. The
# empty line keeps the helpers of a runner's owner out, which would remember it.
helper="credential.$GITHUB_SERVER_URL.helper"
git config --replace-all "$helper" ""
# shellcheck disable=SC2016 # git's shell expands it
git config --add "$helper" '!f() { echo username=x-access-token; echo "password=$GITHUB_TOKEN"; }; f'
