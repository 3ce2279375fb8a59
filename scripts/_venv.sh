# shellcheck shell=sh
# Makes .venv from the hashed requirements file when it is missing or stale, and nothing otherwise.
# Sourced by the scripts beside it, from the repository's root.

hpir_venv() {
  hpir_stamp=.venv/.requirements-installed
  if [ -x .venv/bin/python ] && [ -f "$hpir_stamp" ] &&
    cat requirements-dev.txt pyproject.toml | cmp -s - "$hpir_stamp"; then
    return 0
  fi
  hpir_python=${PYTHON:-python3}
  if ! "$hpir_python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or newer with venv is needed; '$hpir_python' is not. Set PYTHON=python3.12, say." >&2
    return 1
  fi
  echo "Setting up .venv (once; about a minute) …" >&2
  "$hpir_python" -m venv --clear .venv || return 1
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt || return 1
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . || return 1
  cat requirements-dev.txt pyproject.toml >"$hpir_stamp"
}
