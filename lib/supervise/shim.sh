#!/bin/sh
# SPDX-License-Identifier: MIT
# Shim of a mount or a container: holds the descriptors that must outlive the server (from 3 on, shim.ts),
# and starts a server anew when one ends without having said that the mount is gone. A shell,
# because it is there, a twentieth of the size of Node, and does nothing that could fail with
# the server.
#
#   shim.sh NODE MAIN NAME NUMBER [FLAG...]
#
# NUMBER tells shims of the same server apart; FLAGs are Node's.
#
# A server speaks through a pipe, in lines; its end is the end of them:
#   ready         it serves
#   end           the mount is gone
#   hung          it will not end although it was killed: go on without it
#   node, main    the next server is to be this program
#
# Descriptors 7, 8 and 9 are the pipe: read here, opened for a moment, written by the server.
node=$1 main=$2 name=$3 number=$4
shift 4
server='' next_node='' next_main='' former_node='' former_main=''
failures=0
trap '' HUP INT TERM

# Until the server ends.
listen() {
  while IFS= read -r line <&7; do
    case $line in
      ready) failures=0 former_main='' ;;
      end) exit 0 ;;
      hung) return ;;
      'node '*) next_node=${line#node } ;;
      'main '*) next_main=${line#main } ;;
    esac
  done
  [ -z "$server" ] || wait "$server" 2>/dev/null
}

choose_program() {
  if [ -n "$next_main" ]; then
    former_node=$node former_main=$main node=$next_node main=$next_main next_main=''
  elif [ -n "$former_main" ] && [ "$failures" -gt 0 ]; then
    echo "tsoverlay: the new version could not go on with $name, the former one does" >&2
    node=$former_node main=$former_main former_main=''
  fi
}

while :; do
  listen
  choose_program
  failures=$((failures + 1))
  if [ "$failures" -gt 20 ]; then
    echo "tsoverlay: no server can go on with $name; the mount is given up" >&2
    exit 1
  fi
  [ "$failures" -le 3 ] || sleep 1
  # The pipe has no writer left; proc(5) gives it another.
  exec 8<>/proc/self/fd/7
  "$node" "$@" "$main" resume $$ "$number" 9>&8 7<&- 8>&- &
  server=$!
  exec 8>&-
done
