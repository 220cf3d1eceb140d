#!/bin/sh
# Makes ./configure out of configure.ac and Makefile.am. Needed in a clone only, not in a release.
set -eu
cd "$(dirname "$0")"
command -v autoreconf >/dev/null && command -v automake >/dev/null || {
    echo "autogen.sh: install the Debian packages autoconf and automake first" >&2
    exit 1
}
contrib/list-sources
exec autoreconf --install "$@"
