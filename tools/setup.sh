#!/bin/sh
# Sets up what a make target needs: system packages (through apt, where they are missing) and a virtual environment.
#
#   tools/setup.sh run    what `make run` needs
#   tools/setup.sh test   what `make test` needs as well
#   tools/setup.sh nspawn what `make nspawn` needs beyond that
#   tools/setup.sh fuzz   what `make fuzz` needs, in an environment of its own
#
# Says everything on standard error. Where system packages are missing and cannot be installed it prints the one
# apt line to type; `run` then goes on (the demo needs no PortAudio), `test` fails.
set -eu
exec >&2
goal=$1
venv=${VENV:-.venv}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo "$@"
    else return 1
    fi
}

# add PACKAGE TEST...: wants the Debian package unless the test succeeds.
missing=""
add() { package=$1; shift; "$@" >/dev/null 2>&1 || missing="$missing $package"; }
library() { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep -qF "$1"; }
have() { command -v "$1"; }
alsa_pulse() { ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so; }

python=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "kwsd: Python: 3.11 or newer is not here. Install it (Debian 12 and Raspberry Pi OS have it), or set PYTHON=/path/to/python."
    exit 69
fi

add python3-venv "$python" -c 'import ensurepip, venv'
add libportaudio2 library libportaudio.so.2
sbin() { PATH="$PATH:/sbin:/usr/sbin" command -v "$1"; }
if [ "$goal" = test ]; then # virtual microphone, checks of the units, shell examples, text to speech, m4a, MQTT
    add pulseaudio have pulseaudio
    add pulseaudio-utils have pactl
    add libasound2-plugins alsa_pulse
    add systemd have systemd-analyze
    add socat have socat
    add openssl have openssl
    add espeak-ng have espeak-ng
    add ffmpeg have ffmpeg
    add mosquitto sbin mosquitto
fi
if [ "$goal" = nspawn ]; then
    add debootstrap have debootstrap
    add systemd-container have systemd-nspawn
fi
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086  # the list is meant to be split
    if command -v apt-get >/dev/null &&
        { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $missing ||
            { as_root apt-get update -qq &&
                as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $missing; }; } >/dev/null; then
        :
    else
        echo "kwsd: system packages: these are missing. Type: sudo apt-get install$missing"
        [ "$goal" = run ] || exit 69
    fi
fi

# current STAMP FILE...: whether what STAMP stands for was installed after the last change of the files.
current() {
    stamp=$1
    [ -e "$stamp" ] || return 1
    shift
    for file; do
        if [ "$file" -nt "$stamp" ]; then return 1; fi
    done
}
# install VENV WHAT...
install() {
    [ -x "$1/bin/python" ] || "$python" -m venv "$1"
    venv_python=$1/bin/python
    shift
    "$venv_python" -m pip install -q --disable-pip-version-check --no-input "$@"
}

# Users get the newest that fits, as from `pip install kwsd`; tests and tools get what tools/lock.sh has pinned.
locks=tools/locks
if [ "$goal" = run ] && ! current "$venv/.installed-run" pyproject.toml; then
    echo "kwsd: installing into $venv (the first time takes a minute) ..."
    install "$venv" -e .
    touch "$venv/.installed-run"
elif [ "$goal" = test ] && ! current "$venv/.installed-test" pyproject.toml $locks/development.txt; then
    echo "kwsd: installing into $venv (the first time takes some minutes) ..."
    case $(uname -m) in
        x86_64 | aarch64)
            install "$venv" --require-hashes -r $locks/development.txt
            install "$venv" --no-deps --no-build-isolation -e .
            ;;
        *) install "$venv" -e '.[test,lint,train]' ;; # nothing is pinned for other machines
    esac
    touch "$venv/.installed-run" "$venv/.installed-test"
fi

# The second runtime, with the numpy it needs, for the tests that run on both: its last wheels are for Python 3.11.
if [ "$goal" = test ] && ! current "$venv-tflite/.installed" $locks/tflite.txt &&
    "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    install "$venv-tflite" --require-hashes -r $locks/tflite.txt
    touch "$venv-tflite/.installed"
fi

if [ "$goal" = fuzz ] && ! current "$venv-fuzz/.installed" $locks/fuzz.txt; then
    install "$venv-fuzz" --require-hashes -r $locks/fuzz.txt
    touch "$venv-fuzz/.installed"
fi
