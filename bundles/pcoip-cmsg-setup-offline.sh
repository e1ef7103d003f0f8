#!/usr/bin/env bash
# Installs the Connection Manager and the Security Gateway from this directory, without a network.
set -euo pipefail
export LC_ALL=C

here=$(dirname -- "$(readlink -f -- "$0")")

usage() {
  cat <<'END'
Install the Connection Manager and Security Gateway without a network

Usage: sudo ./pcoip-cmsg-setup-offline.sh [-d] [INSTALL FLAGS]

Verifies the bundle, installs its packages with dnf and runs
`pcoip-cmsg-setup install` with the given flags, which
`pcoip-cmsg-setup install --help` lists.

Options:
  -d          Install only the packages; continue with
              `pcoip-cmsg-setup install --darksite-bundle-path DIRECTORY`
  -h, --help  Print this help

Example:
  sudo ./pcoip-cmsg-setup-offline.sh --accept-policies --self-signed \
    --broker-url https://broker.example --external-pcoip-ip 203.0.113.7
END
}

fail() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit "${3:-3}"
}

# Prints "SHA256  PATH" of every file in the manifest, which has one line for each file.
sums() {
  sed -n 's/^ *{"path":"\([A-Za-z0-9._+~^\/-]*\)",.*"sha256":"\([0-9a-f]\{64\}\)",.*$/\2  \1/p' "$here/manifest.json"
}

# Checks that every file is unchanged since the bundle was created, and that there are no others.
verify() {
  local listed found
  [ -f "$here/manifest.json" ] || fail "\`$here\` has no \`manifest.json\`" "unpack the bundle again"
  listed=$(sums | cut -c67- | sort)
  found=$(cd "$here" && find . -mindepth 1 ! -type d ! -path ./manifest.json ! -path ./manifest.json.sig | cut -c3- | sort)
  [ "$listed" = "$found" ] || fail "the files in \`$here\` do not match its \`manifest.json\`:
$(diff <(printf '%s\n' "$listed") <(printf '%s\n' "$found") | sed -n 's/^</  missing:/p; s/^>/  not listed:/p')" \
    "unpack the bundle again, or copy it to this host again"
  [ -z "$(cd "$here" && find . ! -type d ! -type f)" ] || fail "\`$here\` has links or devices" "unpack the bundle again"
  (cd "$here" && sums | sha256sum --check --strict --quiet >&2) ||
    fail "the bundle is damaged; nothing is installed" "copy it to this host again and unpack it"
}

# The release of the distribution of a package, and that of this host: 8, 9 or empty.
release_of() { printf '%s\n' "$1" | sed -n 's/^.*\.el\([0-9][0-9]*\).*$/\1/p'; }
own_release() { sed -n 's/^PLATFORM_ID="\{0,1\}platform:el\([0-9]*\).*$/\1/p' /etc/os-release; }

# Selects the packages to install: the product, and what this host lacks. Installed packages are not changed.
choose() {
  local own package release name
  own=$(own_release)
  chosen=()
  has_product=
  for package in "$here"/dependencies/*.rpm; do
    release=$(release_of "${package##*/}")
    if [ -n "$own" ] && [ -n "$release" ] && [ "$own" != "$release" ]; then continue; fi
    name=$(rpm -qp --nosignature --queryformat '%{NAME}' -- "$package") ||
      fail "\`$package\` is not a package" "copy the bundle to this host again"
    if [ "$name" = pcoip-cmsg-setup ]; then
      has_product=1
    elif rpm -q --quiet -- "$name"; then
      continue
    fi
    chosen+=("$package")
  done
  [ -n "$has_product" ] ||
    fail "the bundle has no package of the product for this host${own:+, which is el$own}" "use the bundle for this host"
}

packages_alone=
if [ "${1:-}" = -d ]; then
  packages_alone=1
  shift
fi
case "${1:-}" in -h | --help)
  usage
  exit 0
  ;;
esac
[ "$(id -u)" -eq 0 ] || fail "this script requires root" "run it with \`sudo\`"
for tool in dnf rpm sha256sum sed find diff; do
  command -v "$tool" >/dev/null || fail "\`$tool\` is not installed" "run this on RHEL or Rocky Linux, 8 or 9"
done

printf 'verifying %s ...\n' "$here" >&2
verify
choose
printf 'installing %s packages ...\n' "${#chosen[@]}" >&2
dnf install --disablerepo='*' --allowerasing -y "${chosen[@]}" </dev/null >&2 ||
  fail "installing the packages failed" "see the output of dnf above; what this host has in an older version may be updated
by hand: dnf install --disablerepo='*' $here/dependencies/NAME*.rpm" 1

if [ -n "$packages_alone" ]; then
  printf 'the packages are installed; continue with\n  pcoip-cmsg-setup install --darksite-bundle-path %q\n' "$here" >&2
  exit 0
fi
exec pcoip-cmsg-setup install --darksite-bundle-path "$here" "$@"
