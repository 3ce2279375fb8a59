#!/usr/bin/env bash
# Stand-in for dmesg: the node's kernel log as the scenario has it.
exec cat "$(dirname "${SANDBOX_NODE:-/usr/local/etc/node.sh}")/dmesg.txt"
