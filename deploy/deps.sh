#!/usr/bin/env bash
# SPDX-FileCopyrightText: The OneMap authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes sure that what `make run` (argument: run), `make test` (argument: test)
# or `make golden` (argument: golden) needs is on the machine. Quick and silent
# when all is there. As root it installs missing Debian packages; otherwise it
# prints the exact command.
set -euo pipefail

want=${1:-run}
go_want=1.26.3
node_want=20.19.0

say() { printf '%s\n' "$*" >&2; }
# at_least HAVE WANT: version HAVE is WANT or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }

missing=0
if ! command -v go >/dev/null; then
  say "Go is missing: install Go $go_want or newer (https://go.dev/dl/) and put it on PATH."
  missing=1
else
  have=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//; s/ .*//')
  at_least "$have" "$go_want" || { say "Go $have is too old: install Go $go_want or newer (https://go.dev/dl/)."; missing=1; }
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  say "Node.js (with npm) is missing: install Node.js $node_want or newer (https://nodejs.org/)."
  missing=1
else
  have=$(node --version | sed 's/^v//')
  at_least "$have" "$node_want" || { say "Node.js $have is too old: install Node.js $node_want or newer (https://nodejs.org/)."; missing=1; }
fi
[ "$missing" = 0 ] || exit 1

packages=(postgresql-postgis gcc libc6-dev)
[ "$want" = test ] && packages+=(chromium fonts-noto-cjk docker-compose openssl gdal-bin postgresql-pgrouting)
[ "$want" = golden ] && packages+=(r-cran-spdep)
need=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || need+=("$p")
done
[ "${#need[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  say "These packages are missing: ${need[*]}. This is not a Debian system: install PostgreSQL 15+ with PostGIS 3.3+, a C compiler and, for tests, Chromium, a CJK font and GDAL (ogr2ogr) yourself."
  exit 1
fi
install="apt-get install -y --no-install-recommends ${need[*]}"
if [ "$(id -u)" != 0 ]; then
  say "These packages are missing: ${need[*]}. Run this once, then try again:"
  say "    sudo sh -c 'apt-get update && $install'"
  exit 1
fi
say "Installing ${need[*]} ..."
export DEBIAN_FRONTEND=noninteractive
# Another installation may be under way: wait for it. An interrupted one is finished first.
apt="apt-get -qq -o DPkg::Lock::Timeout=300"
dpkg --configure -a >&2 || true
$apt update >&2
$apt install -y --no-install-recommends "${need[@]}" >&2
