#!/usr/bin/env bash
# A microphone without a sound card, for tests: a private PulseAudio server whose
# null sink can be played into; what is played comes out of its monitor, bit for bit.
#
#   virtual_mic.sh COMMAND [ARGUMENTS]
#
#   missing            print what is not installed; exit 0 when nothing is
#   start | stop       the server with its microphone; `stop` ends all that was started
#   env                print `export` lines that lead ALSA, hence PortAudio, to it
#   play FILE          play a WAV in real time, return at its end
#   unload | load      take the microphone away, bring it back
#   suspend | resume   no samples flow in between
#   freeze | thaw      stop and continue the server's process
#   kill               end the server with SIGKILL (`start` makes another)
#
# KWSD_MIC_DIR (required) is where everything lives: socket, configuration, log, pid.
# KWSD_MIC_RATE (default 16000) is the microphone's rate.
# No D-Bus, no systemd, no root needed. Nothing outside KWSD_MIC_DIR is written, and
# only the process whose pid is kept there is ever signalled.
set -u
umask 077

fail() { echo "virtual_mic.sh: $*" >&2; exit 1; }

# The comment above is the help.
help() { sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0"; exit 2; }

[ $# -gt 0 ] || help
dir=${KWSD_MIC_DIR:?is not set}
rate=${KWSD_MIC_RATE:-16000}
socket=$dir/native
[ "${#socket}" -lt 108 ] || fail "$socket is too long for a UNIX socket"

export PULSE_SERVER=unix:$socket PULSE_RUNTIME_PATH=$dir PULSE_STATE_PATH=$dir PULSE_COOKIE=$dir/cookie
export PULSE_CLIENTCONFIG=$dir/client.conf ALSA_CONFIG_PATH=$dir/asound.conf
unset PULSE_SINK PULSE_SOURCE PULSE_LATENCY_MSEC

missing() {
    local found=0
    while read -r what package; do
        compgen -G "$what" >/dev/null || { echo "$package ($what)"; found=1; }
    done <<LIST
$(command -v pulseaudio || echo /usr/bin/pulseaudio) pulseaudio
$(command -v pactl || echo /usr/bin/pactl) pulseaudio-utils
/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so libasound2-plugins
/usr/lib/*/libportaudio.so.2 libportaudio2
/usr/share/alsa/alsa.conf libasound2-data
LIST
    return "$found"
}

# The server's pid, if it is alive. A killed one may stay as a zombie where nobody reaps it.
server() {
    local pid
    [ -s "$dir/pid" ] && read -r pid <"$dir/pid" || return 1
    grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status" || return 1
    { tr '\0' '\n' <"/proc/$pid/environ"; } 2>/dev/null | grep -qxF "PULSE_STATE_PATH=$dir" || return 1
    echo "$pid"
}

# A frozen server would hang pactl for ever.
ask() { timeout 5 pactl "$@"; }

# norewinds: else the idle sink renders two seconds ahead, and what is played begins late.
load() {
    ask load-module module-null-sink sink_name=mic rate="$rate" channels=1 format=s16le norewinds=1 \
        sink_properties=device.description=mic >/dev/null || return 1
    ask set-default-sink mic && ask set-default-source mic.monitor
}

start() {
    server >/dev/null && fail "it runs already"
    mkdir -p "$dir" && rm -f "$socket" "$dir/pid"
    printf 'autospawn = no\nenable-shm = no\ndefault-server = unix:%s\n' "$socket" >"$dir/client.conf"
    cat >"$dir/asound.conf" <<CONF
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse server "unix:$socket" hint { show on description "virtual microphone" } }
ctl.!default { type pulse server "unix:$socket" }
CONF
    HOME=$dir setsid pulseaudio -n --daemonize=no --use-pid-file=no --exit-idle-time=-1 --disable-shm=yes \
        --realtime=no --log-target=stderr -L "module-native-protocol-unix auth-anonymous=1 socket=$socket" \
        </dev/null >/dev/null 2>>"$dir/log" &
    echo $! >"$dir/pid"
    for _ in $(seq 200); do
        [ -S "$socket" ] && ask info >/dev/null 2>&1 && { load && return 0; break; }
        kill -0 $! 2>/dev/null || break
        sleep 0.05
    done
    cat "$dir/log" >&2
    fail "the server did not start"
}

stop() {
    local pid
    pid=$(server) || return 0
    kill -CONT "$pid"
    kill -TERM "$pid"
    for _ in $(seq 40); do server >/dev/null || return 0; sleep 0.05; done
    kill -KILL "$pid"
}

signal() {
    local pid
    pid=$(server) || fail "the server does not run"
    kill "-$1" "$pid"
}

command=$1
shift
case $command in
missing | start | stop | load) "$command" ;;
env) export -p | sed -n 's/^declare -x \(\(PULSE_\|ALSA_\)[A-Z_]*=\)/export \1/p' ;;
play) [ $# = 1 ] || help; exec paplay --device=mic --latency-msec=200 "$1" ;;
unload) ask unload-module module-null-sink ;;
suspend) ask suspend-sink mic 1 ;;  # its monitor follows
resume) ask suspend-sink mic 0 ;;
freeze) signal STOP ;;
thaw) signal CONT ;;
kill) signal KILL; while server >/dev/null; do sleep 0.02; done ;;
*) help ;;
esac
