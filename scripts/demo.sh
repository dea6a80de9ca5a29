#!/usr/bin/env bash
# A live wall on this machine: 16 simulated cameras of several zones, a 4x4 wall at 1920x1080, 25 pictures a
# second, with its controller's page, served over RTSP, recorded, and a snapshot at the end. Nothing leaves the
# machine.
#
#   DEMO_SECONDS=60           how long it runs; Ctrl-C ends it earlier
#   VITRAIL=path/to/vitrail   use this program instead of building one
#   PROFILE=demo              of cargo, for the build
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${DEMO_SECONDS:-60}
case $seconds in
  '' | *[!0-9]* | 0) echo "demo: DEMO_SECONDS must be a whole number above 0" >&2; exit 2 ;;
esac

vitrail=${VITRAIL:-}
if [ -z "$vitrail" ]; then
  make --no-print-directory web
  vitrail=$(scripts/program.sh)
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
page_port=$(free_port 8700)
page=http://127.0.0.1:$page_port
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
timer=
trap '{ [ -z "$timer" ] || kill -TERM -- "-$timer" || true; stop "$wall"; stop "$cameras"; } 2>/dev/null' EXIT
lit=
trap 'echo; echo "demo: ending" >&2; [ -n "$lit" ] || exit 130; kill -TERM "$wall" 2>/dev/null || true' INT TERM

# Waits until a command succeeds, while process $1 runs; says why where it does not. On a slow or busy machine
# all takes its time, so the bounds are far above what is usual.
#   await PID SECONDS WHAT LOG COMMAND…
await() {
  local pid=$1 limit=$2 what=$3 log=$4 begun=$SECONDS told=$SECONDS
  shift 4
  until "$@"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      # It may have done what is waited for, and then ended.
      "$@" && return 0
      echo "demo: $what did not come: the program ended; it said:" >&2
      tail -n 20 "$log" >&2
      return 1
    fi
    if ((SECONDS - begun >= limit)); then
      echo "demo: $what did not come within $limit seconds; the program said:" >&2
      tail -n 20 "$log" >&2
      return 1
    fi
    if ((SECONDS - told >= 20)); then
      told=$SECONDS
      echo "demo: waiting for $what ($((SECONDS - begun)) s)" >&2
    fi
    # In the background, so that Ctrl-C reaches this script.
    sleep 0.1 &
    wait $! || true
  done
}

mkdir -p demo
rm -f demo/wall.mkv demo/wall.png demo/report.json demo/cameras.log demo/cameras.csv demo/wall.log demo/vitrail.db*

echo "demo: starting 16 simulated cameras (their pictures are encoded once, then kept)"
"$vitrail" cameras --count 16 --scene city --code none --listen "127.0.0.1:$camera_port" --control "127.0.0.1:$control_port" \
  --inventory demo/cameras.csv >demo/cameras.log 2>&1 &
cameras=$!
# It is there whole, and when all cameras can be called.
await "$cameras" 600 "the inventory of the cameras" demo/cameras.log [ -s demo/cameras.csv ]

cat >demo/wall.toml <<TEXT
[wall]
id = "demo"
frame_rate = 25
inventory = "cameras.csv"
standby = "all"

[control]
listen = "127.0.0.1:$page_port"
unit = "regional-crisis-centre"

[[screen]]
id = "wall"
size = "1920x1080"
grid = "4x4"
cameras = "all"
outputs = ["$view", "demo/wall.mkv"]
TEXT

# It is read below, at once.
: >demo/wall.log
# The time is counted below, from when something may be seen; this end is for a wall that was left alone.
"$vitrail" wall demo/wall.toml --for "$((seconds + 1800))s" --snapshot demo/wall.png --report demo/report.json \
  2> >(tee demo/wall.log >&2) &
wall=$!

# The wall is dark until somebody may see something: people, agreements and an incident come first.
await "$wall" 300 "the token of the first start" demo/wall.log grep -q 'with this token: ' demo/wall.log
token=$(sed -n 's/.*with this token: //p' demo/wall.log)
people=$(node scripts/demo-rights.mjs "$page" "$token") || {
  echo "demo: the people, agreements and the incident could not be made at $page, so the wall would stay dark" >&2
  exit 1
}
cat <<TEXT

  The wall runs for $seconds seconds (Ctrl-C ends it). Its page:

    $page
    $people

  Log in as zoe and suspend an agreement: the tiles of that zone go dark. Or look at the wall itself:

    ffplay -fflags nobuffer -flags low_delay -rtsp_transport tcp $view

  It is recorded in demo/wall.mkv; the snapshot demo/wall.png is written when it ends.

TEXT
lit=yes
{ sleep "$seconds"; kill -TERM "$wall" 2>/dev/null; } &
timer=$!
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
