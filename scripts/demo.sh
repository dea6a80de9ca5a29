#!/usr/bin/env bash
# A live wall on this machine: 16 simulated cameras, a 4x4 wall at 1920x1080, 25 pictures a second,
# served over RTSP, recorded, and a snapshot at the end. Nothing leaves the machine.
#
#   DEMO_SECONDS=60           how long it runs; Ctrl-C ends it earlier
#   VITRAIL=path/to/vitrail   use this program instead of building one
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${DEMO_SECONDS:-60}
case $seconds in
  '' | *[!0-9]* | 0) echo "demo: DEMO_SECONDS must be a whole number above 0" >&2; exit 2 ;;
esac

vitrail=${VITRAIL:-target/release/vitrail}
if [ -z "${VITRAIL:-}" ]; then
  cargo build --release --locked --bin vitrail
fi
[ -x "$vitrail" ] || { echo "demo: no program $vitrail" >&2; exit 3; }

# The first port from $1 on that nobody listens on here.
free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    port=$((port + 1))
  done
  echo "$port"
}

camera_port=$(free_port 8554)
control_port=$(free_port $((camera_port + 1)))
wall_port=$(free_port 8600)
view=rtsp://127.0.0.1:$wall_port/wall

# Each child gets a process group of its own, so that Ctrl-C reaches this script alone and children
# end in order: first the wall, which closes its recording, then the cameras.
set -m
cameras=
wall=
stop() {
  local pid=$1 i
  [ -n "$pid" ] || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((i = 0; i < 100; i++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}
# Without the shell's words about jobs that were ended on purpose.
trap '{ stop "$wall"; stop "$cameras"; } 2>/dev/null' EXIT
trap 'echo; echo "demo: ending" >&2; [ -z "$wall" ] && exit 130; kill -TERM "$wall" 2>/dev/null || true' INT TERM

mkdir -p demo
rm -f demo/wall.mkv demo/wall.png demo/report.json demo/cameras.log

echo "demo: starting 16 simulated cameras (their pictures are encoded once, then kept)"
"$vitrail" cameras --count 16 --listen "127.0.0.1:$camera_port" --control "127.0.0.1:$control_port" \
  >demo/cameras.log 2>&1 &
cameras=$!
ready=
for ((i = 0; i < 1200; i++)); do
  if ! kill -0 "$cameras" 2>/dev/null; then
    echo "demo: the cameras ended; they said:" >&2
    tail -n 20 demo/cameras.log >&2
    exit 1
  fi
  if (exec 3<>"/dev/tcp/127.0.0.1/$camera_port") 2>/dev/null; then
    ready=yes
    break
  fi
  sleep 0.1
done
[ -n "$ready" ] || { echo "demo: the cameras did not start within two minutes" >&2; exit 1; }

uris=()
for n in $(seq 1 16); do
  uris+=("rtsp://127.0.0.1:$camera_port/cam/$n/sub")
done

cat <<TEXT

  The wall runs for $seconds seconds (Ctrl-C ends it). Look at it with one of these:

    ffplay -fflags nobuffer -flags low_delay -rtsp_transport tcp $view
    vlc --network-caching=100 $view
    gst-launch-1.0 rtspsrc location=$view protocols=tcp latency=0 ! decodebin ! videoconvert ! autovideosink

  It is recorded in demo/wall.mkv; the snapshot demo/wall.png is written when it ends.

TEXT

"$vitrail" wall --grid 4x4 --size 1920x1080 --fps 25 --for "${seconds}s" \
  --out "$view" --out demo/wall.mkv --snapshot demo/wall.png --report demo/report.json "${uris[@]}" &
wall=$!
status=0
# A signal ends the first wait before the wall has ended.
while :; do
  status=0
  wait "$wall" || status=$?
  kill -0 "$wall" 2>/dev/null || break
done
wall=

if [ "$status" -ne 0 ]; then
  echo "demo: the wall failed with exit code $status" >&2
  exit "$status"
fi
for file in demo/wall.mkv demo/wall.png demo/report.json; do
  [ -s "$file" ] || { echo "demo: the wall did not write $file" >&2; exit 1; }
done
echo "demo: recorded in demo/wall.mkv, snapshot in demo/wall.png, figures in demo/report.json"
