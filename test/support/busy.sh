#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the tests twice at once on a machine that does other things, and fails when either copy does:
#
#   busy.sh [PART…]
#
# Other things are, round after round: mounts of tmpfs, overlayfs, fuse-overlayfs and of an installed tsoverlay, a
# container of Podman's, and files, control groups and processes with names like those of tests. /usr/local/bin/tsoverlay
# is a link to this checkout. What it makes it takes away, but run it in isolated.sh, which has a /usr/local of its own.
set -eu

LINK=/usr/local/bin/tsoverlay
if [ -z "${TSOVERLAY_TEST_ISOLATED:-}" ]; then
  echo "busy.sh would change $LINK of this machine: use make test-busy" >&2
  exit 1
fi
directory=$(mktemp -d /tmp/tsoverlay-busy-XXXXXX)
mkdir -p "$directory/root/bin" "$directory/lower" "$directory/upper" "$directory/work" "$directory/merged"
cp /bin/busybox "$directory/root/bin"
ln -sf "$PWD/bin/tsoverlay" $LINK

podman_run() {
  podman --root "$directory/ps" --runroot "$directory/pr" --storage-driver vfs --cgroup-manager=cgroupfs \
    --runtime=runc run --rm --network=none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    --rootfs "$directory/root" /bin/busybox true
}

mounted() {
  "$@"
  echo "$rounds" >"$directory/merged/file"
  umount "$directory/merged"
}

round() {
  layers=lowerdir=$directory/lower,upperdir=$directory/upper,workdir=$directory/work
  mounted mount -t tmpfs tsoverlay-test "$directory/merged"
  mounted mount -t overlay -o "$layers" overlay "$directory/merged"
  mounted fuse-overlayfs -o "$layers" "$directory/merged"
  mounted $LINK mount --lower "$directory/lower" --upper "$directory/upper" --work "$directory/work" "$directory/merged"
  podman_run
  mkdir /tmp/tsoverlay-test-busy
  sh -c 'sleep 0.2; rmdir /tmp/tsoverlay-test-busy' tsoverlay server-main.js
}

make_noise() {
  rounds=0
  while [ ! -e "$directory/stop" ]; do
    rounds=$((rounds + 1))
    round >"$directory/noise.log" 2>&1
    echo $rounds >"$directory/rounds"
  done
}

suite() {
  copy=$1
  shift
  TEST_REPORT=dist/test-results-$copy.tap node dist/test/run.js "$@" >"$directory/suite-$copy.log" 2>&1
}

make_noise &
noise=$!
suite 1 "$@" &
first=$!
suite 2 "$@" &
second=$!
status=0
wait $first || status=1
wait $second || status=1
touch "$directory/stop"
if ! wait $noise; then
  cat "$directory/noise.log"
  status=1
fi
for copy in 1 2; do
  echo "copy $copy:"
  grep -vE '^ok ' "$directory/suite-$copy.log" || true
done
echo "meanwhile $(cat "$directory/rounds" 2>/dev/null || echo 0) rounds of other things"
[ -s "$directory/rounds" ] || status=1
# The second is where the installed one kept its list of mounts.
rm -rf "$directory" /run/tsoverlay $LINK
exit $status
