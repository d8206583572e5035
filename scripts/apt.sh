# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Sourced by the install scripts: installs the Debian packages that are missing, and nothing else.

# sudo forgets where Go was installed by hand.
PATH=$PATH:/usr/local/go/bin

apt_install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "$0: these Debian packages are missing and only root can install them: ${missing[*]}" >&2
    echo "$0: run it with sudo, or install them yourself" >&2
    return 1
  fi
  echo "Installing: ${missing[*]}" >&2
  # Package lists that are hours old still fetch; a machine without any, or with stale ones, needs an update.
  # RUNLEVEL=1 keeps a server's package from starting its daemon.
  if ! DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" >/dev/null
  fi
}

# apt_install_unless COMMAND PACKAGE...: a command that is already on PATH, however it came there, is used.
apt_install_unless() {
  local command_name=$1
  shift
  command -v "$command_name" >/dev/null 2>&1 || apt_install "$@"
}
