#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a program as if it had the machine for itself, in the current directory, and says what it leaves:
#
#   isolated.sh [--internet] PROGRAM [ARGUMENT…]
#
# It gets mount, PID, network, IPC, UTS and cgroup namespaces of its own, an empty /tmp, /run and /dev/shm, and an
# /etc, /usr/local, /var and home whose changes nobody else sees. When it ends, each thing that it left is a line
# `# left behind: …` after its own output; then everything is taken away, however it ended. With --internet the
# network namespace reaches the outside through slirp4netns, which changes nothing in the machine's network.
#
# Exits as the program does; with 1 when something was left, and with 125 when the namespaces cannot be had.
set -eu

# What the namespaces put over their own /mnt: upper layers, and ways to what is covered.
OWN=/mnt
COVERED='/etc /usr/local /var'

# The mounts of cgroupfs, a line each: type, directory, options. Of mounts over each other the last one counts.
hierarchies() {
  awk '$5 ~ "^/sys/fs/cgroup" {
    for (i = 7; $i != "-"; i++);
    if ($(i + 1) ~ "^cgroup2?$") found[$5] = $(i + 1) " " $5 " " $(i + 3)
  }
  END { for (directory in found) print found[directory] }' /proc/self/mountinfo
}

# Every group beneath a directory, the deepest first, and itself.
remove_groups() {
  find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
}

# 1. In the machine: makes the scratch directory, and takes everything away at the end.
outside() {
  name=tsoverlay-tests-$(basename "$(mktemp -u XXXXXXXXXX)")
  directory=${TMPDIR:-/tmp}/$name
  mkdir "$directory"
  # As every user may write to it.
  mkdir -m 1777 "$directory/tmp"
  exec 9</proc/self/ns/net
  unshare --mount --pid --net --ipc --uts --fork --kill-child --mount-proc \
    sh "$0" grouped "$name" "$directory" "$@" &
  child=$!
  # The death of unshare is that of the namespace's first process (--kill-child), which is that of all others.
  trap 'kill -KILL $child 2>/dev/null || true' INT TERM HUP
  status=0
  wait $child || status=$?
  while kill -0 $child 2>/dev/null; do wait $child || status=$?; done
  take_away
  exit $status
}

take_away() {
  hierarchies | while read -r _ hierarchy _; do
    tries=0
    while [ -d "$hierarchy/$name" ] && ! remove_groups "$hierarchy/$name" && [ $tries -lt 200 ]; do
      # Processes that were killed leave their group a moment later.
      tries=$((tries + 1))
      sleep 0.05
    done
  done
  rm -rf "$directory"
}

# 2. In the namespaces: enters control groups of its own, which a cgroup namespace then shows as the roots.
grouped() {
  name=$1
  hierarchies | while read -r type hierarchy _; do
    group=$hierarchy/$name
    if [ "$type" = cgroup2 ]; then
      for controller in $(cat "$hierarchy/cgroup.controllers"); do
        echo "+$controller" >"$hierarchy/cgroup.subtree_control" 2>/dev/null || true
      done
    fi
    mkdir "$group"
    # A group without processors and memory takes no process (cgroup-v1/cpusets.rst).
    for file in cpuset.cpus cpuset.mems; do
      if [ "$type" = cgroup ] && [ -e "$group/$file" ]; then cat "$hierarchy/$file" >"$group/$file"; fi
    done
    echo $$ >"$group/cgroup.procs"
  done
  shift
  exec unshare --cgroup sh "$0" inside "$@"
}

# 3. The first process of the namespaces: prepares them, runs the program, looks at what is left.
inside() {
  directory=$1
  shift
  outsider=
  network=
  ip link set lo up
  mount -t tmpfs -o mode=0755 tsoverlay-own $OWN
  mkdir $OWN/checkout $OWN/files
  # By the working directory, which may be beneath what has just been covered.
  mount --bind . $OWN/checkout
  mount --bind "$directory/tmp" /tmp
  own_groups
  if [ "$1" = --internet ]; then
    shift
    reach_internet
  fi
  own_files
  own_devices
  # Where the checkout is beneath one of the directories that are covered now.
  mkdir -p "$PWD"
  mount --bind $OWN/checkout "$PWD"
  cd "$PWD"
  unset TMPDIR TSOVERLAY_RUNTIME_DIR TSOVERLAY_ROOT
  export TSOVERLAY_TEST_ISOLATED=1
  present >$OWN/before
  status=0
  # Word splitting is meant. The descriptor is closed by the last shell before the program.
  # shellcheck disable=SC2086
  $network env --default-signal sh -c 'exec "$@" 9<&-' sh "$@" || status=$?
  report_left || [ $status != 0 ] || status=1
  exit $status
}

# A sysfs that shows the devices of this network namespace, and cgroupfs from this cgroup namespace's roots on.
own_groups() {
  hierarchies >$OWN/hierarchies
  links=$(find /sys/fs/cgroup -maxdepth 1 -type l -printf '%l %p\n')
  mount -t sysfs sysfs /sys
  grep -q '^cgroup2 /sys/fs/cgroup ' $OWN/hierarchies || mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup
  while read -r type hierarchy options; do
    [ -d "$hierarchy" ] || mkdir -p "$hierarchy"
    if [ "$type" = cgroup2 ]; then mount -t cgroup2 cgroup2 "$hierarchy";
    else mount -t cgroup -o "$(selection "$options")" cgroup "$hierarchy"; fi
  done <$OWN/hierarchies
  # A group that gives controllers to others has no processes (cgroup-v2.rst, "No Internal Process Constraint").
  if grep -q . /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    mkdir /sys/fs/cgroup/tests
    echo $$ >/sys/fs/cgroup/tests/cgroup.procs
  fi
  echo "$links" | while read -r target link; do [ -z "$link" ] || ln -s "$target" "$link"; done
}

# Of a hierarchy's options those that say which one it is.
selection() {
  echo "$1" | tr , '\n' | while read -r word; do
    case $word in name=*) echo "$word" ;; *) ! grep -q "^$word[[:space:]]" /proc/cgroups || echo "$word" ;; esac
  done | paste -s -d ,
}

# slirp4netns stays in the machine's network namespace, and in a mount namespace that shows the machine's resolvers.
reach_internet() {
  mkfifo $OWN/ready
  nsenter --net=/proc/self/fd/9 unshare --mount slirp4netns --configure --disable-host-loopback --ready-fd=3 \
    --netns-type=path /proc/1/ns/net tap0 3>$OWN/ready >/dev/null 2>&1 &
  outsider=$!
  read -r _ <$OWN/ready || true
  if ! kill -0 $outsider 2>/dev/null; then
    echo "isolated.sh: slirp4netns cannot connect the network namespace (does it have /dev/net/tun?)," \
      "so this file uses the machine's network" >&2
    outsider=
    network='nsenter --net=/proc/self/fd/9'
  fi
  rm $OWN/ready
}

cover() {
  mkdir -p "$OWN/changes$1" "$OWN/work$1"
  mount -t overlay -o "lowerdir=$1,upperdir=$OWN/changes$1,workdir=$OWN/work$1" overlay "$1"
}

own_files() {
  # Containers have these as mounts, or they lead into /run.
  for file in resolv.conf hosts hostname; do
    [ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$OWN/files/$file"
  done
  [ -z "$outsider" ] || echo nameserver 10.0.2.3 >$OWN/files/resolv.conf
  for covered in $COVERED; do cover "$covered"; done
  if [ -d "${HOME:-/}" ] && [ "${HOME:-/}" != / ]; then cover "$HOME"; fi
  for file in resolv.conf hosts hostname; do
    [ ! -e "$OWN/files/$file" ] || cp --remove-destination "$OWN/files/$file" "/etc/$file"
  done
  mount -t tmpfs -o mode=0755 run /run
  mkdir -m 1777 /run/lock
  mount -t tmpfs -o mode=1777 shm /dev/shm
}

# Nodes whose modes tests may change.
own_devices() {
  for device in fuse net/tun; do
    [ -e "/dev/$device" ] || continue
    own=$OWN/$(basename $device)
    cp -a "/dev/$device" "$own"
    mount --bind "$own" "/dev/$device"
  done
}

# What there is, a line each.
present() {
  awk '{ print "mount", $5 }' /proc/self/mountinfo
  # The checkout may be beneath one of these, and the runner writes its reports there.
  find /tmp /run /dev/shm -mindepth 1 -path "$PWD" -prune -o -printf 'file %p\n' 2>/dev/null
  # Directories are copied up also where nothing in them stays.
  find $OWN/changes -mindepth 2 \( -not -type d -o -name '*tsoverlay*' \) -printf 'file /%P\n'
  find /sys/class/net -mindepth 1 -printf 'network device %f\n'
  find /sys/fs/cgroup -mindepth 1 -type d -printf 'control group %p\n' 2>/dev/null
  for tables in iptables-save ip6tables-save; do
    $tables 2>/dev/null | sed -n -E "s/^(-A|:[^ ]+ - )/$tables \\1/p"
  done
}

# All but this shell, which must not be forked to list them. A zombie has no program; one that is about to execute
# another program has one, and for a moment no command line.
processes() {
  for directory in /proc/[0-9]*; do
    case ${directory#/proc/} in 1 | "$outsider") continue ;; esac
    program=$(readlink "$directory/exe") || continue
    command=$(tr '\0' ' ' 2>/dev/null <"$directory/cmdline") || continue
    echo "process ${command:-$program}"
  done
}

# What the tools that tests use (useradd, mount, iptables, Podman, Buildah, runc, apt) keep without being asked to.
KEPT='^file /etc/(passwd|shadow|group|gshadow|subuid|subgid)-?$
^file /etc/\.pwd\.lock$
^file /etc/cni/
^file /usr/local/bin/tsoverlay$
^file /(run|var/lib|var/cache)/(containers|cni|libpod|crun|runc|netns|mount|apt|debconf|ldconfig)(/|$)
^file /(root|home/[^/]*)/\.(cache|config|local)/
^file /run/xtables\.lock$
^file /dev/shm/libpod_
^control group .*/libpod_parent(/|$)
^network device (cni-podman|podman)[0-9]
^ip6?tables-save .*(CNI|NETAVARK)'

report_left() {
  # What ends does so a moment after it was told to.
  tries=0
  while processes >$OWN/left && [ -s $OWN/left ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  present | grep -vxF -f $OWN/before | grep -vE "$KEPT" >>$OWN/left || true
  sed 's/^/# left behind: /' $OWN/left
  [ ! -s $OWN/left ]
}

case ${1:-} in
  grouped | inside)
    step=$1
    shift
    "$step" "$@"
    ;;
  *) outside "$@" ;;
esac
