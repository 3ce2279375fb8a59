#!/usr/bin/env bash
# Stand-in for journalctl: a few lines of the unit asked for; -k is the kernel log.
host=$(hostname -s)
unit=''
lines=''
while (($#)); do
  case $1 in
    -u | --unit) unit=${2-} && shift ;;
    -u*) unit=${1#-u} ;;
    --unit=*) unit=${1#*=} ;;
    -n | --lines) lines=${2-} && shift ;;
    -n*) lines=${1#-n} ;;
    --lines=*) lines=${1#*=} ;;
    -k | --dmesg)
      exec sed "s/^\[ *[0-9.]*\]/Nov 03 09:00:00 $host kernel:/" \
        "$(dirname "${SANDBOX_NODE:-/usr/local/etc/node.sh}")/dmesg.txt"
      ;;
  esac
  shift
done
unit=${unit%.service}
entries() {
  case $unit in
    kubelet)
      echo "Nov 03 09:00:41 $host kubelet[2211]: I1103 09:00:41.120119    2211 server.go:1288] \"Started kubelet\""
      echo "Nov 03 09:00:52 $host kubelet[2211]: I1103 09:00:52.004417    2211 kubelet_node_status.go:76] \"Successfully registered node\""
      ;;
    containerd)
      echo "Nov 03 09:00:39 $host containerd[2004]: time=\"2025-11-03T09:00:39Z\" level=info msg=\"containerd successfully booted in 0.071323s\""
      ;;
    '')
      echo "Nov 03 09:00:30 $host systemd[1]: Startup finished in 2.1s (kernel) + 12.4s (userspace) = 14.5s."
      ;;
    *) echo '-- No entries --' ;;
  esac
}
if [[ $lines =~ ^[0-9]+$ ]]; then
  entries | tail -n "$lines"
else
  entries
fi
