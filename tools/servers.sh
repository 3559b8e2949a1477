#!/usr/bin/env bash
# Makes sure that the servers which the tests run against are here: redis-server, etcd. With root and apt-get, what is
# missing is installed from Debian's packages, without starting anything; else
# this says what to install. The tests start servers of their own, on free loopback ports.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
have() { PATH=$PATH:/usr/local/bin:/usr/bin:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }

missing=()
have redis-server || missing+=(redis-server)
have etcd || missing+=(etcd-server)
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if [ "$(id -u)" != 0 ] || ! have apt-get; then
  say "error: the tests need servers that are not here: ${missing[*]} (Debian's package names)"
  say "  on Debian, as root:  apt-get install ${missing[*]}"
  say "  elsewhere: install Redis 6.2 or newer and etcd 3.4 or newer, and put redis-server and etcd on the PATH"
  exit 1
fi

say "[servers] installing ${missing[*]}"
# Nothing is to be started by the installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get install -y "${missing[@]}" || { apt-get update && apt-get install -y "${missing[@]}"; }; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  say "error: apt-get could not install ${missing[*]}; its output is in $log"
  exit 1
fi
rm -f "$log"
