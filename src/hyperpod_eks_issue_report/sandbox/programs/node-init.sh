#!/usr/bin/env bash
# Builds one node's view of the machine inside fresh mount and UTS namespaces, then waits.
# Arguments: the node's root directory, its host name, /tmp size in MiB (0: unlimited), then the
# names of programs that the node lacks. Says "ready" on stdout; ends when its stdin closes, and
# with it the namespaces, unless a process of the node still lives in them.
set -eu
root=$1 host=$2 tmp_size=$3
shift 3

mount --make-rprivate / 2>/dev/null || true
mount --bind "$root" "$root"
hostname "$host" 2>/dev/null || true

# Programs and libraries of the machine, read-only; symbolic links as they are.
for name in usr bin sbin lib lib32 lib64 libx32 etc; do
  [[ -e /$name ]] || continue
  if [[ -L /$name ]]; then
    ln -sfn "$(readlink "/$name")" "$root/$name"
  else
    mkdir -p "$root/$name"
    mount --rbind "/$name" "$root/$name"
    mount -o remount,ro,bind "$root/$name" 2>/dev/null || true
  fi
done
for name in proc sys dev; do
  mkdir -p "$root/$name"
  mount --rbind "/$name" "$root/$name"
done

mount --bind "$root/.local" "$root/usr/local"
if curl=$(type -P curl); then
  : >"$root/.local/lib/sandbox-curl"
  mount --bind "$curl" "$root/.local/lib/sandbox-curl"
  mount --bind "$root/.local/lib/sandbox-curl" "$root/usr/local/lib/sandbox-curl"
fi

# Overlays hide programs and carry the node's own files below /etc.
overlays=$root/.overlays
mkdir -p "$overlays"
overlay() {
  mkdir -p "$overlays/$1/upper" "$overlays/$1/work"
  mount -t overlay overlay -o "lowerdir=$2,upperdir=$overlays/$1/upper,workdir=$overlays/$1/work" "$root$2"
}
mount -t tmpfs -o size=16m tmpfs "$overlays"
overlay etc /etc
[[ ! -d $root/.etc ]] || cp -a "$root/.etc/." "$root/etc/"
printf '%s\n' "$host" >"$root/etc/hostname"
if (($#)); then
  for directory in /usr/bin /usr/sbin /bin /sbin; do
    [[ -d $directory && ! -L $directory ]] || continue
    overlay "${directory//\//_}" "$directory"
    for name in "$@"; do
      rm -f "$root$directory/$name"
    done
  done
fi

if ((tmp_size)); then
  mount -t tmpfs -o "size=${tmp_size}m,mode=1777" tmpfs "$root/tmp"
fi

cd "$root"
exec chroot "$root" /bin/bash -c 'cd /; echo ready; read -r _ || true'
