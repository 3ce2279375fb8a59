# shellcheck shell=bash
# Fetch the collector script, check it and become it. The head written before this text sets
# HPIR_BUCKET, HPIR_REGION, the keys, the script's size and digest, and the presigned URLs.

# Not from the agent's environment: the EXIT trap removes HPIR_WORK.
HPIR_SEQ=0
HPIR_LOG=
HPIR_WORK=

# hpir_surroundings: the agent's environment is sparse; what is there comes first.
hpir_surroundings() {
  PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  HOME=${HOME:-/root}
  LC_ALL=C
  # Asked for unseen, a missing locale makes bash complain at every start.
  case " $(locale -a 2>/dev/null | tr '\n' ' ') " in
    *' C.UTF-8 '* | *' C.utf8 '*) LC_ALL=C.UTF-8 ;;
  esac
  export PATH HOME LC_ALL
  umask 077
}

# hpir_workplace: a private directory on the first file system that really takes a write.
hpir_workplace() {
  local base
  for base in /var/tmp /tmp /dev/shm; do
    HPIR_WORK=$(mktemp -d "$base/hpir.XXXXXXXXXX" 2>/dev/null) || continue
    if head -c 65536 /dev/zero 2>/dev/null >"$HPIR_WORK/try"; then
      rm -f -- "$HPIR_WORK/try"
      return 0
    fi
    hpir_clean
  done
  HPIR_WORK=
  return 1
}

# hpir_fetch FILE: the node's role first, the presigned URL where that fails.
hpir_fetch() {
  if hpir_has aws; then
    HPIR_VIA=node-role
    hpir_await hpir_aws 20 "s3://$HPIR_BUCKET/$HPIR_SCRIPT_KEY" "$1" && return
    hpir_note aws
  fi
  if hpir_has curl; then
    HPIR_VIA=presigned-url
    hpir_curl "$1" "$HPIR_SCRIPT_URL" --max-time 60 && return
    hpir_note curl
  fi
  return 1
}

# hpir_verify FILE: size and digest, or fail.
hpir_verify() {
  local bytes sum
  bytes=$(stat -c %s -- "$1" 2>/dev/null)
  sum=$(hpir_sum sha256sum "$1" 2>/dev/null)
  if [[ $bytes != "$HPIR_SCRIPT_BYTES" || $sum != "$HPIR_SCRIPT_SHA256" ]]; then
    hpir_fail verify ScriptVerifyFailed \
      "expected $HPIR_SCRIPT_BYTES bytes of sha256 $HPIR_SCRIPT_SHA256, got ${bytes:-no} bytes of ${sum:-none}"
  fi
}

hpir_bootstrap() {
  local missing
  hpir_surroundings
  hpir_traps
  hpir_emit begin "time=$(hpir_now)" "bash=$BASH_VERSION" "uid=$UID" "host_b64=$(hpir_b64 "$(uname -n)")"
  hpir_workplace || hpir_fail stage NoSpace 'no directory of /var/tmp, /tmp, /dev/shm takes a write'
  missing=$(hpir_missing)
  if [[ $missing == 'aws and curl' ]]; then
    hpir_fail fetch NoTransferTool "the node lacks $missing"
  fi
  if ! hpir_fetch "$HPIR_WORK/collect.sh"; then
    hpir_fail fetch "$(hpir_reason FetchDenied ScriptFetchFailed)" \
      "$HPIR_DETAIL${missing:+ (the node lacks $missing)}"
  fi
  hpir_verify "$HPIR_WORK/collect.sh"
  hpir_emit script "via=$HPIR_VIA" "bytes=$HPIR_SCRIPT_BYTES"
  export HPIR_SEQ HPIR_LOG HPIR_WORK HPIR_VIA HPIR_BUCKET HPIR_REGION HPIR_RESULT_KEY
  # The URL goes through a pipe: neither argv nor the environment of the script shows it.
  exec 3< <(printf '%s\n' "$HPIR_UPLOAD_URL")
  shopt -s execfail
  exec bash "$HPIR_WORK/collect.sh"
  hpir_fail collect CollectFailed 'bash could not be started'
}

hpir_bootstrap
