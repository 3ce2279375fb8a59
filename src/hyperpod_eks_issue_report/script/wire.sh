# shellcheck shell=bash
# The node line protocol's writing end, shared by the bootstrap and the collector script.
# One process emits, so that the numbers and the log for the trailer stay consistent.

set -u
HPIR_SEQ=${HPIR_SEQ:-0}
HPIR_LOG=${HPIR_LOG:-}
HPIR_SPOKE=$SECONDS
HPIR_CHILD=
HPIR_RC=0

# hpir_emit KIND [KEY=VALUE]...: write one protocol line; values hold no blanks.
hpir_emit() {
  local IFS=' '
  local line="@hpir 1 $HPIR_SEQ $*"
  HPIR_LOG+=$line$'\n'
  HPIR_SEQ=$((HPIR_SEQ + 1))
  HPIR_SPOKE=$SECONDS
  printf '%s\n' "$line"
}

# hpir_b64 TEXT: free text as a value; bounded, as a line is.
hpir_b64() {
  printf '%s' "$1" | head -c 500 | base64 -w0
}

# hpir_sum TOOL FILE: the hex digest alone.
hpir_sum() {
  local sum
  sum=$("$1" <"$2") && printf '%s' "${sum%% *}"
}

# hpir_finish RC: write the trailer and leave.
hpir_finish() {
  local sum
  sum=$(printf '%s' "$HPIR_LOG" | sha256sum)
  hpir_emit end "lines=$HPIR_SEQ" "bytes=${#HPIR_LOG}" "sha256=${sum%% *}" "rc=$1"
  exit "$1"
}

# hpir_fail STAGE REASON DETAIL: say what stopped the collector, then end.
hpir_fail() {
  hpir_emit failed "stage=$1" "reason=$2" "detail_b64=$(hpir_b64 "$3")"
  hpir_finish 1
}

hpir_has() {
  command -v "$1" >/dev/null 2>&1
}

hpir_now() {
  date -u +%Y-%m-%dT%H:%M:%SZ
}

# hpir_limit SECONDS COMMAND...: become COMMAND, under `timeout` where there is one. `timeout`
# leads a process group of its own, so one signal to it reaches all that COMMAND started.
hpir_limit() {
  local seconds=$1
  shift
  if hpir_has timeout; then
    exec timeout -k 5 "$seconds" "$@"
  fi
  exec "$@"
}

# hpir_child COMMAND...: the far end of hpir_await. COMMAND does not get the pipe: what it leaves
# running must not hold back the end.
hpir_child() {
  trap - EXIT
  "$@" >/dev/null 4<&- &
  printf 'pid %s\n' "$!"
  wait "$!" 2>/dev/null
  printf 'rc %s\n' "$?"
}

# hpir_await COMMAND...: run COMMAND in a child, beat while it lasts, return its exit status.
# `read -t` on the child's pipe is the timer: no background sleeper that could outlive us. It waits
# 5 s at most as an older bash runs traps only between reads.
hpir_await() {
  local answer status
  HPIR_RC=1
  exec 4< <(hpir_child "$@")
  while :; do
    answer=
    read -r -t 5 -u 4 answer
    status=$?
    case $answer in
      'pid '*) HPIR_CHILD=${answer#pid } ;;
      'rc '*) HPIR_RC=${answer#rc } && break ;;
    esac
    # Above 128 the time was up; any other failure is the end of the pipe.
    if ((status != 0 && status <= 128)); then break; fi
    if ((SECONDS - HPIR_SPOKE >= 20)); then hpir_emit beat; fi
  done
  exec 4<&-
  HPIR_CHILD=
  return "$HPIR_RC"
}

# hpir_clean: the EXIT trap. Whatever happened, nothing stays on the node.
hpir_clean() {
  if [[ -n ${HPIR_WORK:-} ]]; then rm -rf -- "$HPIR_WORK"; fi
}

# hpir_stop STATUS: the trap of signals: end what runs and leave; the EXIT trap cleans up.
hpir_stop() {
  trap '' TERM HUP INT PIPE
  if [[ -n $HPIR_CHILD ]]; then kill -TERM "$HPIR_CHILD" 2>/dev/null; fi
  exit "$1"
}

hpir_traps() {
  trap hpir_clean EXIT
  trap 'hpir_stop 129' HUP
  trap 'hpir_stop 130' INT
  trap 'hpir_stop 141' PIPE
  trap 'hpir_stop 143' TERM
}
