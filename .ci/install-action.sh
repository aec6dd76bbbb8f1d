# What action.yml runs: the tool of the action's own commit into a virtual environment, which goes on the PATH.
set -eu
venv="$RUNNER_TEMP/pointsman"
python -m venv --clear "$venv"
"$venv/bin/pip" install --quiet --require-hashes --requirement "$GITHUB_ACTION_PATH/requirements.txt"
"$venv/bin/pip" install --quiet --no-index --no-deps --no-build-isolation "$GITHUB_ACTION_PATH"
echo "$venv/bin" >>"$GITHUB_PATH"
