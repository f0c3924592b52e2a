#!/usr/bin/env bash
# Build the images with buildah and try them, where there is neither a Docker engine nor a registry.
#
#   deploy/docker/rehearse.sh [cpu] [gpu]     default: cpu
#
# cpu: start the image's own command, wait until its health check passes, send one spoken turn, stop it with its stop
# signal and expect exit code 0. gpu: check that its stack fits an L4; without a card it can do no more.
# The base image is made here by debootstrap: Debian 12 with its Python 3.11. Installs what it needs (Debian's packages,
# as root), keeps everything in .parle/rehearsal (15 GB, with gpu 45 GB) and removes it at the end; KEEP=1 leaves it.
# A container shares this machine's network: PORT is where the server listens, by default 8000.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly work=$PWD/.parle/rehearsal
readonly base=localhost/debian-python:3.11
readonly port=${PORT:-8000}
readonly healthy_s=300 turn_s=120 stop_s=60
export BUILDAH_ISOLATION=chroot TMPDIR=$work/tmp

main() {
    [[ $# -gt 0 ]] || set -- cpu
    install_tools
    trap clean_up EXIT
    mkdir -p "$work/tmp"
    make_base
    share_package_settings
    local target
    for target in "$@"; do
        build "$target"
        "try_$target"
    done
}

say() { printf '\n== %4d s  %s\n' "$SECONDS" "$*"; }

fail() {
    say "FAILED: $*" >&2
    exit 1
}

# Without STORAGE_DRIVER, buildah takes overlay where it can be mounted and vfs (which copies whole layers) elsewhere.
image() { buildah --root "$work/storage" --runroot "$work/run" "$@"; }

# What an image says of itself, one value a line.
config_of() { image inspect --type image --format "$2" "localhost/parle:$1"; }

install_tools() {
    if hash buildah debootstrap curl 2>/dev/null; then
        return
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends buildah ca-certificates curl debootstrap
}

clean_up() {
    if [[ -n ${server:-} ]]; then
        kill -KILL -- "-$server" 2>/dev/null || true
    fi
    if [[ -z ${KEEP:-} ]]; then
        rm -rf --one-file-system "$work"
    fi
}

# Debian in place of python:3.11-slim-bookworm, which is the same Debian with a Python of its own.
make_base() {
    if image inspect --type image "$base" >/dev/null 2>&1; then
        return
    fi
    say "base: Debian 12 with Python 3.11"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$work/debian" >"$work/debootstrap.log"
    ln -s /usr/bin/python3 "$work/debian/usr/local/bin/python"
    local container
    container=$(image from scratch)
    image add --quiet "$container" "$work/debian" / >/dev/null
    image commit --quiet --rm "$container" "$base" >/dev/null
    rm -rf --one-file-system "$work/debian"
}

# A build sees this machine's certificates and its package index, which are no part of the image.
share_package_settings() {
    local index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-}}
    mkdir -p "$work/uv"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$work/pip.conf"
    : >"$work/uv/uv.toml"
    if [[ -n $index ]]; then
        printf 'index-url = %s\n' "$index" >>"$work/pip.conf"
        printf '[[index]]\nurl = "%s"\ndefault = true\n' "$index" >"$work/uv/uv.toml"
    fi
    shared=(
        --volume "/etc/ssl/certs:/etc/ssl/certs:ro"
        --volume "$work/pip.conf:/etc/pip.conf:ro"
        --volume "$work/uv:/etc/uv:ro"
    )
}

build() {
    say "$1: build"
    image build --format docker --build-arg "BASE=$base" --target "$1" --tag "localhost/parle:$1" "${shared[@]}" \
        --file deploy/docker/Dockerfile .
    say "$1: built, $(image images --format '{{.Size}}' "localhost/parle:$1")"
}

try_gpu() {
    local container
    container=$(image from --pull-never localhost/parle:gpu)
    say "gpu: does its stack fit an L4?"
    image run "$container" -- tini -- parle check configs/local_stack.yaml --gpu L4
    image rm "$container" >/dev/null
}

try_cpu() {
    local container command health signal
    mapfile -t command < <(config_of cpu '{{range .Docker.Config.Entrypoint}}{{println .}}{{end}}{{range .Docker.Config.Cmd}}{{println .}}{{end}}')
    mapfile -t health < <(config_of cpu '{{range .Docker.Config.Healthcheck.Test}}{{println .}}{{end}}')
    signal=$(config_of cpu '{{.Docker.Config.StopSignal}}')
    container=$(image from --pull-never localhost/parle:cpu)

    say "cpu: start ${command[*]}"
    local started=$SECONDS
    # A process id namespace is not part of chroot isolation, so tini has to ask for the orphans. `set -m`: a background
    # process of a script without job control would ignore SIGINT.
    set -m
    # shellcheck disable=SC2016 # the container's shell writes down its process id, then becomes the image's command
    image run --env "PORT=$port" --env TINI_SUBREAPER=1 "$container" -- sh -c 'echo $$ >/tmp/pid; exec "$@"' sh "${command[@]}" </dev/null &
    server=$!
    set +m
    until image run --env "PORT=$port" "$container" -- "${health[@]:1}" 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || fail "the server ended before it was healthy"
        ((SECONDS - started < healthy_s)) || fail "not healthy within $healthy_s s"
        sleep 2
    done
    say "cpu: healthy after $((SECONDS - started)) s"

    curl --silent --show-error --fail --no-buffer --max-time "$turn_s" --form audio=@serve_app/data/greeting.ogg \
        "http://127.0.0.1:$port/api/stream-audio" >"$work/turn"
    grep '^event: ' "$work/turn" | sort | uniq -c
    grep -A 1 -E '^event: (transcript|complete)' "$work/turn" | grep '^data: ' | cut -c 1-300
    grep -q '^event: audio' "$work/turn" || fail "the turn has no audio"
    [[ $(grep '^event: ' "$work/turn" | tail -n 1) == "event: complete" ]] || fail "the turn is not complete"

    say "cpu: stop with $signal"
    # shellcheck disable=SC2016
    image run "$container" -- sh -c 'kill -s "${1#SIG}" "$(cat /tmp/pid)"' sh "$signal"
    local code=0
    timeout "$stop_s" tail --pid="$server" -f /dev/null || fail "still running $stop_s s after $signal"
    wait "$server" || code=$?
    server=
    ((code == 0)) || fail "exit code $code"
    say "cpu: ended with exit code 0"
    image rm "$container" >/dev/null
}

main "$@"
