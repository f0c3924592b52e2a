#!/usr/bin/env bash
# Copies the screenshots that the browser tests took last into docs/screenshots, where the README shows them.
set -euo pipefail
cd "$(dirname "$0")/.."
cp -v .parle/screenshots/*.png docs/screenshots/
