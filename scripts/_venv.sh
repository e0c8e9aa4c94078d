# Sourced by the scripts beside it from the repository's root: makes a virtual environment
# and installs into it, once, with nothing but Python, its venv module and pip.
# shellcheck shell=sh

say() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
}

fail() {
    say "$1"
    exit 1
}

# ensure_venv DIR NAME ARGUMENT...: have DIR hold what `pip install ARGUMENT...` installs.
# Done once for each NAME, and again when pyproject.toml, the Python or DIR's place has changed.
ensure_venv() {
    venv=$1 stamp=$1/installed-$2 log=$1-install.log # the log stays until all is well
    shift 2
    state=$(identify) || state=''
    if [ -n "$state" ] && [ ! -e "$log" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
        return
    fi
    make_venv
    say "installing into $venv; this is done once and takes a minute or two ..."
    run_pip 'pip>=25.1' # the first that knows dependency groups; a new environment may bring an older one
    run_pip "$@"
    identify >"$stamp"
    rm -f "$log"
}

# Print what the environment was made for: its Python, pyproject.toml and place; fail if it is not sound.
identify() {
    "$venv/bin/python" - 2>/dev/null <<'END'
import hashlib, os, sys

if sys.version_info < (3, 10) or sys.prefix == sys.base_prefix:
    sys.exit(1)
with open("pyproject.toml", "rb") as file:
    print(sys.version.split()[0], hashlib.sha256(file.read()).hexdigest(), os.path.realpath(sys.prefix))
END
}

# Make the environment unless there is a sound one; give it pip if it was made without, as uv does.
make_venv() {
    if [ -n "$state" ] && [ ! -e "$log" ] && ! was_moved; then
        "$venv/bin/python" -m pip --version >"$log" 2>&1 && return
        "$venv/bin/python" -m ensurepip >"$log" 2>&1 && return
    fi
    python=$(find_python) || exit 1
    [ ! -e "$venv" ] || say "$venv is incomplete or from elsewhere: making it anew."
    { printf '' >"$log"; } 2>/dev/null || fail "cannot write to $PWD, where $venv belongs."
    "$python" -m venv --clear "$venv" >"$log" 2>&1 || give_up "$python could not make the virtual environment $venv."
}

# Whether the environment was made at another place: its commands and paths would lead back there.
was_moved() {
    for file in "$venv"/installed-*; do
        [ ! -e "$file" ] || [ "$(cut -d ' ' -f 3- "$file")" = "$(printf '%s' "$state" | cut -d ' ' -f 3-)" ] || return 0
    done
    return 1
}

run_pip() {
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "$@" >>"$log" 2>&1 && return
    if grep -qE 'Connection|Retrying|Temporary failure|timed out|SSLError' "$log"; then
        give_up "could not install: pip does not reach a package index. Is there a network? A mirror is set by PIP_INDEX_URL."
    fi
    give_up "could not install: pip failed."
}

# Say what went wrong: the end of the log first, the cause last.
give_up() {
    { grep -iE '^ *error:' "$log" || grep -v '^ *$' "$log"; } | tail -n 3 | cut -c 1-160 >&2
    fail "$1
The whole output is in $PWD/$log; run this again to try again."
}

# Print the first Python that will do, or say what is wrong with those that there are.
# PYTHON=/path/to/python names the only one to take.
find_python() {
    too_old='' without_venv=''
    set -- python3.14 python3.13 python3.12 python3.11 python3.10 python3 python
    [ -z "${PYTHON-}" ] || set -- "$PYTHON"
    for candidate in "$@"; do
        # Some commands of these names do not run a Python, but tell how to get one.
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            too_old="$too_old, $candidate is $version"
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            without_venv="$without_venv, $candidate ($version)"
        else
            printf '%s\n' "$candidate"
            return
        fi
    done
    if [ -n "$without_venv" ]; then
        fail "Python's venv module is missing: ${without_venv#, }.
Install it (Debian and Ubuntu: apt install python3-venv), then run this again."
    fi
    found="none of: $*"
    [ -z "$too_old" ] || found="only older: ${too_old#, }"
    fail "needs Python 3.10 or newer; found $found.
Install one, or say where it is: PYTHON=/path/to/python $0"
}
