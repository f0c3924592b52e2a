#!/usr/bin/env bash
# Debian's PostgreSQL, which the tests of the store start for themselves. Does nothing where it is installed.
set -euo pipefail

if compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "The tests of the store need PostgreSQL in /usr/lib/postgresql, and there is no apt-get here to install it." >&2
    exit 1
fi
if [[ $(id -u) -ne 0 ]]; then
    echo "The tests of the store need PostgreSQL; install it with: sudo $0" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Only the programs: no server of the machine's own is made and started.
mkdir -p /etc/postgresql-common
[[ -e /etc/postgresql-common/createcluster.conf ]] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
apt-get install -y -qq --no-install-recommends postgresql
ls -d /usr/lib/postgresql/*/bin
