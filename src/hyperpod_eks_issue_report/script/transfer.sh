# shellcheck shell=bash
# The two ways to and from S3, shared by the bootstrap and the collector script: the node's own role
# through the AWS CLI, and a presigned URL through curl. The URL goes to curl on its stdin, never in
# argv, where every process of the node could read it.

HPIR_DETAIL=

# hpir_scrub BYTES: stdin to stdout, bounded, without the secrets of presigned URLs.
hpir_scrub() {
  tr -d '\000' | LC_ALL=C sed -E \
    -e 's#(https?://[^[:space:]?"<>]*)\?[^[:space:]"<>]*#\1?(removed)#g' \
    -e 's#X-Amz-[A-Za-z-]+=[^&[:space:]"<>]*#X-Amz-(removed)#g' | tr '\n' ' ' | head -c "$1"
}

# hpir_body FILE: what a refusing S3 says. Of its XML only code and message: the rest may quote the
# signature.
hpir_body() {
  local code message
  code=$(LC_ALL=C sed -n 's#.*<Code>\([^<]*\)</Code>.*#\1#p' "$1" 2>/dev/null | head -n 1)
  message=$(LC_ALL=C sed -n 's#.*<Message>\([^<]*\)</Message>.*#\1#p' "$1" 2>/dev/null | head -n 1)
  if [[ -n $code ]]; then
    printf '%s: %s' "$code" "$message"
  else
    head -c 160 "$1" 2>/dev/null
  fi
}

# hpir_note WAY: remember why WAY failed; HPIR_RC is still that of hpir_await.
hpir_note() {
  local text
  text=$(hpir_scrub 200 <"$HPIR_WORK/errors")
  if [[ $HPIR_RC == 124 || $HPIR_RC == 137 ]]; then text="no answer in time $text"; fi
  HPIR_DETAIL+="${HPIR_DETAIL:+; }$1: ${text:-exit code $HPIR_RC}"
}

# hpir_reason DENIED OTHER: the reason that HPIR_DETAIL shows.
hpir_reason() {
  case $HPIR_DETAIL in
    *'No space left'*) printf 'NoSpace' ;;
    *'HTTP 403'* | *'(403)'* | *AccessDenied* | *Forbidden*) printf '%s' "$1" ;;
    *) printf '%s' "$2" ;;
  esac
}

# hpir_missing: which of the transfer tools the node lacks.
hpir_missing() {
  local tool list=
  for tool in aws curl; do
    if ! hpir_has "$tool"; then list+="${list:+ and }$tool"; fi
  done
  printf '%s' "$list"
}

# hpir_aws SECONDS FROM TO: copy with the node's role; runs in a child.
hpir_aws() {
  exec 2>"$HPIR_WORK/errors"
  hpir_limit "$1" aws s3 cp "$2" "$3" --region "$HPIR_REGION" --only-show-errors </dev/null
}

# hpir_curl_child URL ARGUMENT...: one curl; runs in a child.
hpir_curl_child() {
  local url=$1
  shift
  exec curl -sS --retry 2 --config - -w '%{http_code}' "$@" \
    < <(printf 'url = "%s"\n' "$url") >"$HPIR_WORK/status" 2>"$HPIR_WORK/errors"
}

# hpir_curl BODY URL ARGUMENT...: curl with what S3 answers in the file BODY. Without -f, which
# would drop the answer that says why.
hpir_curl() {
  local body=$1 status=
  shift
  : >"$HPIR_WORK/status"
  hpir_await hpir_curl_child "$@" -o "$body" || return
  read -r status <"$HPIR_WORK/status"
  if [[ $status == 2?? ]]; then return 0; fi
  printf 'HTTP %s %s' "$status" "$(hpir_body "$body")" >"$HPIR_WORK/errors"
  HPIR_RC=22
  return 22
}
