#!/usr/bin/env bash
# Stand-in for the AWS CLI on a node: `aws --version` and `aws s3 cp`, as the node's own role.
# Requests carry the role's access key; nothing checks the signature. Needs curl.
# shellcheck source=/dev/null
. "${SANDBOX_NODE:-/usr/local/etc/node.sh}"

# The node may lack curl; the stand-in keeps one of its own.
curl=/usr/local/lib/sandbox-curl
[[ -s $curl && -x $curl ]] || curl=curl

request() { # method, url, file for the body, further curl options → status on stdout
  local method=$1 url=$2 body=$3 stamp
  shift 3
  stamp=$(date -u +%Y%m%d)
  "$curl" --silent --output "$body" --write-out '%{http_code}' --request "$method" \
    --header "Authorization: AWS4-HMAC-SHA256 Credential=$NODE_ROLE_KEY/$stamp/$NODE_REGION/s3/aws4_request, SignedHeaders=host, Signature=0" \
    "$@" "$NODE_S3_URL/$url"
}

explain() { # status → code and text
  case $1 in
    403) echo 'AccessDenied Access Denied' ;;
    404) echo 'NoSuchBucket The specified bucket does not exist' ;;
    400) echo 'BadDigest The Content-MD5 you specified did not match what we received.' ;;
    5*) echo 'InternalError We encountered an internal error. Please try again.' ;;
    *) echo "Unknown Unknown" ;;
  esac
}

upload() { # file, s3 url
  local key=${2#s3://} status code text
  [[ $key != */ ]] || key+=${1##*/}
  if [[ ! -e $1 ]]; then
    printf '\nThe user-provided path %s does not exist.\n' "$1" >&2
    exit 255
  fi
  status=$(request PUT "$key" /dev/null --upload-file "$1")
  if [[ $status != 2* ]]; then
    read -r code text <<<"$(explain "$status")"
    if [[ $status == 000 ]]; then
      printf 'upload failed: ./%s to %s Could not connect to the endpoint URL: "%s"\n' "${1##*/}" "$2" "$NODE_S3_URL/$key" >&2
    else
      printf 'upload failed: ./%s to %s An error occurred (%s) when calling the PutObject operation: %s\n' "${1##*/}" "$2" "$code" "$text" >&2
    fi
    exit 1
  fi
  [[ -n $quiet ]] || printf 'upload: ./%s to %s\n' "${1##*/}" "$2"
}

download() { # s3 url, file
  local key=${1#s3://} target=$2 status word
  [[ ! -d $target && $target != */ ]] || target=${target%/}/${key##*/}
  status=$(request HEAD "$key" /dev/null --head)
  if [[ $status == 2* ]]; then
    if [[ $target == - ]]; then
      exec 4>&1
      target=/dev/fd/4
    fi
    status=$(request GET "$key" "$target")
  fi
  if [[ $status != 2* ]]; then
    word=Forbidden
    [[ $status != 404 ]] || word='Not Found'
    [[ $status != 404 ]] || word="Key \"${key#*/}\" does not exist"
    printf 'fatal error: An error occurred (%s) when calling the HeadObject operation: %s\n' "$status" "$word" >&2
    exit 1
  fi
  [[ -n $quiet || $2 == - ]] || printf 'download: %s to %s\n' "$1" "$target"
}

quiet=''
words=()
while (($#)); do
  case $1 in
    --version)
      echo 'aws-cli/2.31.20 Python/3.13.7 Linux/6.1.155-176.282.amzn2023.x86_64 source/x86_64.amzn.2023'
      exit 0
      ;;
    --region) NODE_REGION=${2-} && shift ;;
    --only-show-errors | --quiet | --no-progress) quiet=1 ;;
    --*) [[ ${2-} == --* || $# -lt 2 ]] || shift ;;
    *) words+=("$1") ;;
  esac
  shift
done
if [[ ${words[0]-} != s3 || ${words[1]-} != cp || ${#words[@]} -ne 4 ]]; then
  echo 'aws: error: the sandbox knows only: aws s3 cp SOURCE TARGET, aws --version' >&2
  exit 252
fi
case ${words[2]} in
  s3://*) download "${words[2]}" "${words[3]}" ;;
  *) upload "${words[2]}" "${words[3]}" ;;
esac
