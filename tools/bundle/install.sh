#!/bin/sh
# Installs Bedside from the wheels beside this file, without a network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
usage="Usage: $0 [FOLDER]
Installs Bedside into FOLDER (default: $here/.venv) without a network.
PYTHON=PROGRAM $0 uses that Python instead of python3; it must be Python @PYTHON@."

fail() {
  echo "$1" >&2
  exit 1
}

case ${1:-} in
-h | --help)
  echo "$usage"
  exit 0
  ;;
-*) fail "$1: there is no such option.
$usage" ;;
esac
[ $# -le 1 ] || fail "$*: one folder, please.
$usage"
to=${1:-$here/.venv}

found=$("$python" -c 'import sys, sysconfig
sys.stdout.write("%d.%d " % sys.version_info[:2] + sysconfig.get_platform())' 2>/dev/null) ||
  fail "$python is no Python here; install Python @PYTHON@, or say PYTHON=PROGRAM $0"
[ "$found" = "@PYTHON@ @PLATFORM@" ] ||
  fail "$python is Python $found, and this is for @PYTHON@ @PLATFORM@: say PYTHON=python@PYTHON@ $0, \
or make the bundle on a computer with the same Python as this one."
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  fail "$python has no venv; install it first (on Debian and Ubuntu the package is python@PYTHON@-venv)"
if [ -e "$to" ] && [ ! -f "$to/pyvenv.cfg" ] && [ -n "$(ls -A "$to")" ]; then
  fail "$to: there is something else in it; name a folder that is empty, or not there yet"
fi

echo "Making $to"
"$python" -m venv "$to" || fail "$to could not be made, see above"
to=$(cd "$to" && pwd)
set -- "$here"/wheels/*.whl
echo "Installing $# packages into it; that takes about a minute"
# Of the same version there may be another build, so what an earlier bundle left there is replaced.
"$to/bin/pip" install --quiet --disable-pip-version-check --no-index --find-links "$here/wheels" --force-reinstall \
  'bedside[demo,flash]' || fail "The packages could not be installed, see above; then say $0 again."
echo "Installed. What to type next, more is in README.md:
  cd $here
  $to/bin/bedside demo
  $to/bin/bedside doctor"
