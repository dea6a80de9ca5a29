#!/bin/sh
# Makes the 16 camera-like clips of the offline benches once: 1920x1080, 25 pictures a second, H.264 at
# 4 Mb/s, a key frame every 50 pictures, no B-frames, 10 s each, from real road and street footage.
# Usage: clips.sh [FOOTAGE [TARGET]]; prints the clips' paths. What is there already is kept.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
footage=${1:-$root/../shared/data/footage}
target=${2:-$HOME/.cache/vitrail/peers}

# One line a clip: the footage, and where in it the clip starts (seconds).
list='dvrscan_traffic_camera.mp4 0
ahmetozlu_input_video.mp4 0
dvrscan_traffic_camera.mp4 2
intel_car-detection.mp4 0
dvrscan_traffic_camera.mp4 4
iacv_svincolo.mp4 0
dvrscan_traffic_camera.mp4 6
ahmetozlu_input_video.mp4 9
dvrscan_traffic_camera.mp4 8
opencv_vtest.avi 5
dvrscan_traffic_camera.mp4 10
intel_car-detection.mp4 12
dvrscan_traffic_camera.mp4 12
ahmetozlu_input_video.mp4 18
dvrscan_traffic_camera.mp4 13
iacv_svincolo.mp4 5'

mkdir -p "$target"
number=0
echo "$list" | while read -r file start; do
    number=$((number + 1))
    clip=$target/$(printf 'cam-%02d.mp4' "$number")
    if [ ! -s "$clip" ]; then
        if [ ! -r "$footage/$file" ]; then
            echo "clips.sh: $footage/$file is missing; name the folder of the footage" >&2
            exit 1
        fi
        # Whole and renamed, so that an interrupted run leaves no half clip.
        ffmpeg -nostdin -v error -y -ss "$start" -t 10 -i "$footage/$file" -an \
            -vf 'scale=1920:1080:flags=bicubic,setsar=1,fps=25,format=yuv420p' -frames:v 250 \
            -c:v libx264 -preset veryfast -bf 0 -g 50 -keyint_min 50 -sc_threshold 0 \
            -b:v 4M -maxrate 5M -bufsize 8M -map_metadata -1 -f mp4 "$clip.part"
        mv "$clip.part" "$clip"
    fi
    echo "$clip"
done
