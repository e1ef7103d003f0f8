#!/usr/bin/env bash
# Does what systemd does with units, as far as the installer asks: what is enabled are links, what is
# started runs as its unit says. It knows only the units that were there when it was told to reload.
set -eu
installed=/etc/systemd/system
state=/run/systemd/units
echo "$*" >>"$state/calls"
verb=$1
shift
if [ "${1-}" = --no-block ]; then shift; fi

fail() {
  echo "$*" >&2
  exit 1
}

# What a unit says of a key.
says() { sed -n "s/^$2=//p" "$installed/$1"; }

runs() { [ -f "$state/$1.pid" ] && kill -0 "$(cat "$state/$1.pid")" 2>/dev/null; }

start() {
  cmp -s "$state/known/$1" "$installed/$1" || fail "Unit $1 not found."
  [ ! -e "$state/refuses" ] || fail "Failed to start $1: Transaction is destructive."
  ambient=$(says "$1" AmbientCapabilities | tr '[:upper:]' '[:lower:]')
  bounding=$(says "$1" CapabilityBoundingSet | tr '[:upper:]' '[:lower:]')
  setsid env -i NOTIFY_SOCKET=/run/systemd/notify setpriv --no-new-privs --clear-groups \
    --reuid "$(says "$1" User)" --regid "$(says "$1" Group)" --bounding-set "-all,+${bounding#cap_}" \
    --inh-caps "-all,+${ambient#cap_}" --ambient-caps "-all,+${ambient#cap_}" \
    $(says "$1" ExecStart) </dev/null >>"$state/$1.log" 2>&1 &
  echo $! >"$state/$1.pid"
}

stop() {
  runs "$1" || return 0
  kill "$(cat "$state/$1.pid")"
  while runs "$1"; do sleep 0.02; done
}

if [ "$verb" = daemon-reload ]; then
  rm -rf "$state/known"
  mkdir "$state/known"
  find "$installed" -maxdepth 1 -type f -name '*.service' -exec cp -t "$state/known" {} +
  exit
fi
for unit; do
  link="$installed/$(says "$unit" WantedBy).wants/$unit"
  case $verb in
  start) runs "$unit" || start "$unit" ;;
  stop) stop "$unit" ;;
  enable) mkdir -p "${link%/*}" && ln -sf "$installed/$unit" "$link" ;;
  disable) rm "$link" ;;
  is-active) if runs "$unit"; then echo active; else echo inactive && exit 3; fi ;;
  *) fail "Unknown command verb $verb." ;;
  esac
done
