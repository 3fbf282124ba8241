#!/bin/sh
# The Autobahn testsuite for WebSockets, from PyPI, in either direction:
#
#   run.sh install                     only installs it
#   run.sh client OUT URL [EXCLUDED…]  its fuzzing client tries the server at URL, ws://host:port/path, and ends
#   run.sh server OUT URL [EXCLUDED…]  its fuzzing server listens at URL, ws://host:port, until it is stopped
#
# OUT gets index.json and a report for each case; EXCLUDED are patterns of cases, such as 12.*. The suite needs Python 2.7,
# which is looked for as $PYTHON27, as python2.7, and in pyenv; without it the script ends with status 77. It is installed
# once, into $WEIR_AUTOBAHN_CACHE, by default ~/.cache/weir/autobahn.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${WEIR_AUTOBAHN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir/autobahn}

python=
for p in "${PYTHON27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python; do
	if [ -n "$p" ] && "$p" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
		python=$p
		break
	fi
done
if [ -z "$python" ]; then
	echo "the Autobahn testsuite needs Python 2.7, which is not here (pyenv install 2.7.18, or set PYTHON27)" >&2
	exit 77
fi

site=$cache/site-$(cksum <"$here/requirements.txt" | cut -d ' ' -f 1)
if [ ! -d "$site" ]; then
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/new.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$new/site" -r "$here/requirements.txt" >&2
	mv "$new/site" "$site" 2>/dev/null || [ -d "$site" ] # another may have been first
fi
mode=$1
if [ "$mode" = install ]; then
	exit 0
fi

out=$2
url=$3
shift 3
excluded=
for pattern in "$@"; do
	excluded="$excluded${excluded:+, }\"$pattern\""
done
mkdir -p "$out"
spec=$out/spec.json
cat >"$spec" <<END
{
  "outdir": "$out", "url": "$url", "servers": [{"agent": "weir", "url": "$url"}],
  "cases": ["*"], "exclude-cases": [$excluded], "exclude-agent-cases": {}
}
END
export SITE="$site" PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore
# A folder on PYTHONPATH would not have its .pth files read, without which namespace packages are not found.
exec "$python" -c 'import os, site; site.addsitedir(os.environ["SITE"])
from autobahntestsuite.wstest import run; run()' --mode "fuzzing$mode" --spec "$spec" --webport 0
