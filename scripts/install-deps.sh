#!/usr/bin/env bash
# Installs what Vitrail needs from Debian 12: nothing is asked, and running it again changes nothing.
#
#   scripts/install-deps.sh           install what is missing
#   scripts/install-deps.sh --check   only say what is missing (exit 1 if anything is)
set -euo pipefail

packages=(
  # building
  build-essential pkg-config clang libclang-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  libavcodec-dev libavfilter-dev libavformat-dev libavutil-dev
  # running: elements for RTSP, SRT, HLS, Matroska, MP4, x264, x265, windows
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-x
  # the GPU path; mesa brings lavapipe, the software device that the tests use
  libvulkan1 mesa-vulkan-drivers
  # the controller: its database, OpenSSL for live pictures, and the browser in which its page is tested
  libsqlite3-dev libssl-dev chromium
  # independent references and checks in the tests
  ffmpeg valgrind strace
)

# Node builds the controller's page; one that is there from elsewhere (18 or newer) will do.
node_major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p') || true
if [ "${node_major:-0}" -lt 18 ] || ! command -v npm >/dev/null; then
  packages+=(nodejs npm)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done

if [ "${1:-}" = --check ]; then
  [ ${#missing[@]} -eq 0 ] && { echo "all ${#packages[@]} Debian packages are installed"; exit 0; }
  printf 'missing: %s\n' "${missing[@]}"
  exit 1
fi

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "install-deps: this script knows Debian 12; install the like of these yourself: ${missing[*]}" >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install-deps: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  echo "install-deps: installing ${missing[*]}" >&2
  "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

if ! command -v cargo >/dev/null; then
  echo "install-deps: Rust is missing (Debian 12's is too old): install it from https://rustup.rs, then run this again" >&2
  exit 1
fi
