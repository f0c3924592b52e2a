#!/usr/bin/env bash
# Debian's Chromium, which tests/browser drives. Does nothing where it is installed.
set -euo pipefail
readonly chromium=/usr/bin/chromium

if [[ -x $chromium ]]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "The browser tests need $chromium, and there is no apt-get here to install it: install Chromium by hand." >&2
    exit 1
fi
if [[ $(id -u) -ne 0 ]]; then
    echo "The browser tests need $chromium; install it with: sudo $0" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium fonts-noto-core
"$chromium" --version
