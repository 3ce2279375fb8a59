#!/usr/bin/env bash
# Stand-in for systemctl: the units of a HyperPod EKS node, all running.
units=(amazon-ssm-agent chronyd containerd hyperpod-host-agent kubelet sagemaker-fluent-bit)
known() {
  local unit
  for unit in "${units[@]}"; do
    [[ $unit != "${1%.service}" ]] || return 0
  done
  return 1
}
command='list-units'
names=()
for argument; do
  case $argument in
    -*) ;;
    status | is-active | is-enabled | is-failed | list-units | show | cat) command=$argument ;;
    *) names+=("$argument") ;;
  esac
done
case $command in
  list-units)
    [[ " $* " == *' --failed '* || " $* " == *'--state=failed'* ]] && units=()
    echo '  UNIT                            LOAD   ACTIVE SUB     DESCRIPTION'
    for unit in "${units[@]}"; do
      printf '  %-31s loaded active running %s\n' "$unit.service" "$unit"
    done
    printf '\n%d loaded units listed.\n' "${#units[@]}"
    ;;
  is-active | is-enabled | is-failed)
    rc=0
    for name in "${names[@]}"; do
      if known "$name"; then
        [[ $command == is-enabled ]] && echo enabled || echo active
      else
        echo inactive
        rc=3
      fi
    done
    exit "$rc"
    ;;
  *)
    for name in "${names[@]}"; do
      if ! known "$name"; then
        echo "Unit ${name%.service}.service could not be found." >&2
        exit 4
      fi
      printf '● %s.service - %s\n' "${name%.service}" "${name%.service}"
      printf '     Loaded: loaded (/usr/lib/systemd/system/%s.service; enabled; preset: disabled)\n' "${name%.service}"
      printf '     Active: active (running) since Mon 2025-11-03 09:00:40 UTC; 1 day ago\n'
    done
    ;;
esac
