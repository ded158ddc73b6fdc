#!/bin/sh
# Installs what the tests and benchmarks use from Debian's or Ubuntu's packages. Does nothing where all is there.
set -eu

packages="acl apache2-utils attr btrfs-progs buildah busybox-static catatonit crun curl debootstrap docker-registry dpkg
  e2fsprogs fuse-overlayfs fuse3 git iproute2 iptables libcap2-bin linux-libc-dev openssl passwd podman procps psmisc python3 runc
  skopeo slirp4netns sqlite3 stress-ng uidmap umoci util-linux xfsprogs zstd"
# The library that fuse-native needs; Ubuntu renamed it in 24.04.
library=libfuse2

missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if ! ldconfig -p | grep -q 'libfuse\.so\.2 '; then
  missing="$missing $library"
fi
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ]; then
  echo "these packages are missing:$missing; install them, or run this as root" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
case "$missing" in *"$library"*)
  apt-cache show "$library" >/dev/null 2>&1 || missing=$(echo "$missing" | sed "s/$library/libfuse2t64/")
esac
# shellcheck disable=SC2086
apt-get -qq install -y --no-install-recommends $missing >/dev/null
