#!/usr/bin/env bash
# Makes sure that the servers for the tests are available: redis-server, memcached, etcd, valkey-server, and a browser with
# its driver. What is missing, Valkey aside, is installed from Debian's packages, given root and apt-get, and not started;
# otherwise this script says what to install. Valkey is unpacked into .tools/, from the packages of this Debian release or
# its backports, because installing it would replace Redis' programs. The tests start their own servers on free loopback
# ports.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
say() { printf '%s\n' "$*" >&2; }
have() { PATH=$PATH:/usr/local/bin:/usr/bin:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }

made= work=
trap 'rm -rf ${made:+"$made"} ${work:+"$work"}' EXIT

missing=()
have redis-server || missing+=(redis-server)
have memcached || missing+=(memcached)
have etcd || missing+=(etcd-server)
have chromium || have chromium-browser || have google-chrome || missing+=(chromium)
have chromedriver || missing+=(chromium-driver)

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    say "error: the tests need programs that are not installed: ${missing[*]} (Debian's package names)"
    say "  on Debian, as root:  apt-get install ${missing[*]}"
    say "  elsewhere: install Redis 6.2 or newer, etcd 3.4 or newer, and Chromium or Chrome with its ChromeDriver, and put"
    say "  redis-server, etcd, chromedriver and chromium (or google-chrome) on the PATH"
    exit 1
  fi
  say "[servers] installing ${missing[*]}"
  # The installation must not start anything.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod +x $policy
    made=$policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  if ! { apt-get install -y "${missing[@]}" || { apt-get update && apt-get install -y "${missing[@]}"; }; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "error: apt-get could not install ${missing[*]}; its output is in $log"
    exit 1
  fi
  rm -f "$log"
fi

if have valkey-server || [ -x "$tools/valkey/usr/bin/valkey-server" ]; then exit 0; fi

no_valkey() {
  say "error: the tests need Valkey, and $1"
  say "  install Valkey 7.2 or newer and put valkey-server on the PATH"
  exit 1
}
have apt-get || no_valkey "apt-get, which would fetch it, is missing"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -n 1 || true)
[ -n "$codename" ] && [ -n "$site" ] || no_valkey "apt has no package source"

# Private lists and cache, so that the system's package state is not changed. Signatures are checked as usual.
work=$tools/valkey.tmp
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/unpacked"
printf 'deb %s %s main\n' "$site" "$codename" "$site" "$codename-backports" > "$work/sources.list"
apt=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
     -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
     -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -q)
apt-get "${apt[@]}" update >"$work/log" 2>&1 || no_valkey "the package lists cannot be read: $(tail -n 1 "$work/log")"
version=$(apt-cache "${apt[@]}" madison valkey-server | awk '{print $3}' | head -n 1)
[ -n "$version" ] || no_valkey "neither Debian $codename nor its backports have a package for it, or their lists cannot be fetched"
say "[servers] unpacking Valkey $version into ${tools#"$root"/}/valkey"
# valkey-server is a link to a program in valkey-tools. Redis needs the same libraries.
(cd "$work" && apt-get "${apt[@]}" download "valkey-server=$version" "valkey-tools=$version" >log 2>&1) \
  || no_valkey "the download failed: $(tail -n 1 "$work/log")"
for package in "$work"/*.deb; do dpkg -x "$package" "$work/unpacked"; done
"$work/unpacked/usr/bin/valkey-server" --version >"$work/log" 2>&1 \
  || no_valkey "the program in Debian's package does not run: $(tail -n 1 "$work/log")"
rm -rf "$tools/valkey"
mv "$work/unpacked" "$tools/valkey"
