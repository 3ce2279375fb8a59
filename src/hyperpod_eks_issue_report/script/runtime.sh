# shellcheck shell=bash
# The collector: run every task of the table, pack what they wrote, hand it to S3.
# The bootstrap passes its state through the environment and the upload URL through fd 3.

: "${HPIR_WORK:?}" "${HPIR_VIA:?}" "${HPIR_BUCKET:?}" "${HPIR_REGION:?}" "${HPIR_RESULT_KEY:?}"

# hpir_open: take over from the bootstrap. Tasks get neither its state nor the URL nor fd 3.
hpir_open() {
  local name
  for name in "${!HPIR_@}"; do export -n "${name?}"; done
  hpir_traps
  HPIR_UPLOAD_URL=
  { read -r HPIR_UPLOAD_URL <&3; } 2>/dev/null
  exec 3<&-
  HPIR_TREE=$HPIR_WORK/tree
  HPIR_INDEX=0
  mkdir -p -- "$HPIR_TREE" || hpir_fail collect NoSpace 'the work directory takes no more'
  {
    uname -n >"$HPIR_TREE/hostname.txt"
    hpir_now >"$HPIR_TREE/timestamp.txt"
    printf 'id\tfile\trc\tms\tbytes\ttimeout\n' >"$HPIR_TREE/commands.tsv"
  } 2>/dev/null
}

# hpir_clock: milliseconds since the node's start in HPIR_MS; no fork, and no clock set under us.
hpir_clock() {
  local up
  read -r up _ </proc/uptime
  HPIR_MS=$((10#${up/./} * 10))
}

# hpir_run FILE SECONDS COMMAND: one task; runs in a child. After `--` a leading dash is text.
hpir_run() {
  hpir_limit "$2" bash -c -- "$3" </dev/null >>"$1" 2>&1
}

# hpir_head FILE COMMAND, hpir_foot FILE RC: the lines around a task's output. On a full disk they
# are lost, and only they.
hpir_head() {
  { printf '# command: %q\n# started: %s\n' "$2" "$(hpir_now)" >"$1"; } 2>/dev/null
}

hpir_foot() {
  local newline=
  if [[ $(tail -c 1 -- "$1" 2>/dev/null | wc -l) -eq 0 ]]; then newline=$'\n'; fi
  { printf '%s# exit code: %s\n' "$newline" "$2" >>"$1"; } 2>/dev/null
}

# hpir_task ID FILE SECONDS COMMAND: a line of the table.
hpir_task() {
  local out=$HPIR_TREE/$2 start rc ms bytes late=0
  HPIR_INDEX=$((HPIR_INDEX + 1))
  hpir_emit started "index=$HPIR_INDEX" "id=$1"
  if [[ $2 == */* ]]; then mkdir -p -- "${out%/*}" 2>/dev/null; fi
  hpir_head "$out" "$4"
  hpir_clock && start=$HPIR_MS
  hpir_await hpir_run "$out" "$3" "$4" 2>/dev/null
  rc=$HPIR_RC
  hpir_clock && ms=$((HPIR_MS - start))
  # A task may end with these by itself: only one that had its time was ended by `timeout`. The
  # clock's step is 10 ms.
  if [[ $rc == 124 || $rc == 137 ]] && ((ms + 10 >= $3 * 1000)); then late=1; fi
  hpir_foot "$out" "$rc"
  bytes=$(stat -c %s -- "$out" 2>/dev/null) || bytes=0
  { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$rc" "$ms" "$bytes" "$late" \
    >>"$HPIR_TREE/commands.tsv"; } 2>/dev/null
  hpir_emit finished "index=$HPIR_INDEX" "id=$1" "rc=$rc" "ms=$ms" "bytes=$bytes" "timeout=$late"
}

# hpir_tar FILE: pack the tree without a leading directory; runs in a child.
hpir_tar() {
  cd -- "$HPIR_TREE" && exec tar czf "$1" -- * </dev/null 2>"$HPIR_WORK/errors"
}

# hpir_pack FILE: make the tarball and announce it, or fail.
hpir_pack() {
  local bytes sha256
  : 2>/dev/null >"$HPIR_WORK/errors"
  hpir_await hpir_tar "$1"
  # 1 means that a file grew meanwhile, as one does when a task left something running.
  if ((HPIR_RC > 1)); then
    hpir_note tar
    # What tar and gzip say may itself not fit on a full disk.
    if ! head -c 4096 /dev/zero 2>/dev/null >"$HPIR_WORK/try"; then
      HPIR_DETAIL+=' (No space left in the work directory)'
    fi
    hpir_fail pack "$(hpir_reason PackFailed PackFailed)" "$HPIR_DETAIL"
  fi
  bytes=$(stat -c %s -- "$1")
  sha256=$(hpir_sum sha256sum "$1")
  HPIR_MD5=$(hpir_sum md5sum "$1")
  if [[ -z $bytes || -z $sha256 || -z $HPIR_MD5 ]]; then
    hpir_fail pack PackFailed 'the tarball could not be read back'
  fi
  hpir_emit tarball "bytes=$bytes" "sha256=$sha256" "md5=$HPIR_MD5"
}

# hpir_md5_base64 HEX: as the Content-MD5 header has it; S3 then refuses a body damaged on its way.
hpir_md5_base64() {
  # shellcheck disable=SC2059 # the format is the bytes: hex digits and \x only
  printf "$(printf '%s' "$1" | sed 's/../\\x&/g')" | base64 -w0
}

hpir_upload_aws() {
  hpir_has aws || return
  hpir_await hpir_aws 600 "$1" "s3://$HPIR_BUCKET/$HPIR_RESULT_KEY" && HPIR_VIA=node-role && return
  hpir_note aws
  return 1
}

hpir_upload_curl() {
  hpir_has curl && [[ -n $HPIR_UPLOAD_URL ]] || return
  hpir_curl "$HPIR_WORK/body" "$HPIR_UPLOAD_URL" --max-time 600 -T "$1" \
    -H "Content-MD5: $(hpir_md5_base64 "$HPIR_MD5")" && HPIR_VIA=presigned-url && return
  hpir_note curl
  return 1
}

# hpir_upload FILE: the way the script came by first, then the other one.
hpir_upload() {
  HPIR_DETAIL=
  if [[ $HPIR_VIA == node-role ]]; then
    hpir_upload_aws "$1" || hpir_upload_curl "$1"
  else
    hpir_upload_curl "$1" || hpir_upload_aws "$1"
  fi
}

# hpir_close: what follows the table.
hpir_close() {
  local tarball=$HPIR_WORK/report.tar.gz
  hpir_pack "$tarball"
  # The tree has done its work; its room may be needed.
  rm -rf -- "$HPIR_TREE"
  if hpir_upload "$tarball"; then
    hpir_emit uploaded "via=$HPIR_VIA"
    hpir_finish 0
  fi
  hpir_fail upload "$(hpir_reason UploadDenied UploadFailed)" "$HPIR_DETAIL"
}

hpir_open
