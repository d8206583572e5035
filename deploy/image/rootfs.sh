#!/bin/sh
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# rootfs.sh BINARY DIRECTORY: makes DIRECTORY the root file system of zerospan's image: the program without its debug
# symbols, the shared libraries that it needs, the authorities' certificates, the licences of all that, and a
# description of each Debian package that a file comes from, where image scanners look for it. Debian only.
set -eu

binary=$1
root=$2
source=$(dirname "$0")/../..
[ -x "$binary" ] || { echo "rootfs.sh: no program $binary" >&2; exit 2; }
[ ! -e "$root" ] || { echo "rootfs.sh: $root is there already" >&2; exit 2; }

mkdir -p "$root/usr/bin" "$root/usr/lib64" "$root/etc/ssl/certs" "$root/etc/zerospan" "$root/proc" "$root/sys" \
  "$root/dev" "$root/run" "$root/tmp" "$root/usr/lib" "$root/usr/share/doc/zerospan" "$root/var/lib/dpkg/status.d"
# As in Debian: /lib and /lib64 are the ones below /usr.
ln -s usr/bin usr/lib usr/lib64 "$root"
ln -s /run "$root/var/run"
strip -o "$root/usr/bin/zerospan" "$binary"
chmod 755 "$root/usr/bin/zerospan"

files=$(ldd "$binary" | sed -n 's|.*=> \(/[^ ]*\) .*|\1|p; s|^[[:space:]]*\(/[^ ]*\) (.*|\1|p')
for file in $files; do
  to=$root/usr/${file#/usr/}
  [ "${file#/usr/}" != "$file" ] || to=$root/usr$file
  mkdir -p "$(dirname "$to")"
  cp -L "$file" "$to"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/usr/bin/zerospan\n' > "$root/etc/passwd"
cp -r "$source/LICENSE" "$source/LICENSES" "$root/usr/share/doc/zerospan/"
# Where a file of the host is mounted.
: > "$root/etc/machine-id"

for file in $files; do
  # dpkg knows a file by the path in its package, which may be that of a link's target, with or without /usr.
  real=$(readlink -f "$file")
  for name in "$file" "$real" "${real#/usr}"; do
    if package=$(dpkg-query --search "$name" 2> /dev/null); then
      echo "${package%%: *}"
      continue 2
    fi
  done
  echo "rootfs.sh: no package has $file" >&2
done | { cat; echo ca-certificates; } | sort -u | while read -r package; do
  name=${package%%:*}
  dpkg-query --status "$package" > "$root/var/lib/dpkg/status.d/$name"
  mkdir -p "$root/usr/share/doc/$name"
  cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/"
done
