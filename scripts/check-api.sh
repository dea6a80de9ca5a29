#!/usr/bin/env bash
# Sends the API what its own document allows, and what it does not, once as each role and once as nobody:
# no answer may be the server's fault (5xx), and every answer must be one that the document names. A
# controller of one wall with one camera that does not answer is started for it, on loopback.
#
#   SCHEMATHESIS=schemathesis   the program that asks (pip install schemathesis); without it nothing is checked
#   VITRAIL=path/to/vitrail     use this program instead of building one
#   EXAMPLES=25                 requests for each operation and phase, at most
#   SEED=1                      of what is asked
#   KEEP=folder                 what it said, a file for each role
set -euo pipefail
cd "$(dirname "$0")/.."

asker=${SCHEMATHESIS:-schemathesis}
export SCHEMATHESIS_HOOKS=${SCHEMATHESIS_HOOKS:-$PWD/scripts/schemathesis-hooks.py}
command -v "$asker" >/dev/null || { echo "check-api: schemathesis is not installed; nothing is checked" >&2; exit 0; }
vitrail=${VITRAIL:-}
[ -n "$vitrail" ] || vitrail=$(scripts/program.sh)

folder=$(mktemp -d)
wall=
trap '[ -z "$wall" ] || { kill -TERM "$wall" && wait "$wall"; } 2>/dev/null; rm -rf "$folder"' EXIT

port=8750
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
cat > "$folder/wall.toml" <<TOML
[wall]
id = "checked"
frame_rate = 5
[[screen]]
size = "640x360"
grid = "2x2"
outputs = []
[[camera]]
id = "silent"
zone = "north"
profiles = { main = "rtsp://127.0.0.1:9/main" }
[control]
listen = "127.0.0.1:$port"
database = "vitrail.db"
TOML
# At home in that folder: nothing that the person at this machine keeps has a say.
HOME=$folder XDG_CACHE_HOME='' XDG_CONFIG_HOME='' XDG_DATA_HOME='' XDG_STATE_HOME='' \
  "$vitrail" wall "$folder/wall.toml" >"$folder/out" 2>"$folder/log" &
wall=$!

# The first administrator, an account of each role, and an API token of each: `role token`, a line each.
python3 - "$port" "$folder/log" >"$folder/tokens" <<'PY'
import json, re, sys, time, urllib.request

port, log = sys.argv[1:]
password = "correct horse battery"

def ask(method, path, body=None, headers={}):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1{path}", method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer), answer.headers.get("Set-Cookie", "").split(";")[0]

def login(answer):
    me, cookie = answer
    return {"Cookie": cookie, "X-CSRF": me["csrf"]}

# Minutes on a slow or busy machine are no fault of the API.
for _ in range(1800):
    token = re.search(r"with this token: (\S+)\n", open(log).read())
    try:
        if token and ask("GET", "/setup")[0]["needed"]:
            break
    except OSError:
        pass
    time.sleep(0.1)
else:
    sys.exit("check-api: the controller does not answer after three minutes; it said:\n" + open(log).read())
token = token.group(1)
root = login(ask("POST", "/setup", {"token": token, "name": "root", "password": password}))
for role in ["operator", "supervisor", "zone-authority", "auditor", "administrator"]:
    zones = ["north"] if role == "zone-authority" else []
    ask("POST", "/accounts", {"name": f"a-{role}", "role": role, "zones": zones, "password": password}, root)
    session = login(ask("POST", "/login", {"name": f"a-{role}", "password": password}))
    print(role, ask("POST", "/tokens", {"name": "check"}, session)[0]["secret"])
print("nobody -")
PY

# Left out: streams without an end, what calls into the network, and what would take the callers' own
# accounts or the program's patience away.
status=0
while read -r role token <&4; do
  echo "── as $role"
  header=()
  [ "$token" = "-" ] || header=(-H "Authorization: Bearer $token")
  # It keeps notes where it runs.
  (cd "$folder" && "$asker" run "http://127.0.0.1:$port/api/v1/openapi.json" ${header[@]+"${header[@]}"} \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --max-examples "${EXAMPLES:-25}" --seed "${SEED:-1}" --workers 1 --request-timeout 20 --continue-on-failure \
    --suppress-health-check all --warnings off \
    --exclude-path-regex '/events$|stream\.mjpeg$|/discovery|/accounts/\{id\}$|/tokens/\{id\}$' \
    >"$folder/$role" 2>&1 </dev/null) || status=1
  sed -n '/═* SUMMARY/,$p' "$folder/$role"
  [ -z "${KEEP:-}" ] || { mkdir -p "$KEEP" && cp "$folder/$role" "$KEEP/"; }
  curl -s "http://127.0.0.1:$port/metrics" | awk -F'[" ]' '/^vitrail_http_requests_total/ { split($0, a, "status=\""); s = substr(a[2], 1, 3); n[s] += $NF; all += $NF } END { printf "answered so far: %d, of them 5xx:", all; for (s in n) if (s >= 500) printf " %d×%s", n[s], s; print "" }'
  kill -0 "$wall" || { echo "check-api: the controller ended" >&2; tail -20 "$folder/log" >&2; exit 1; }
done 4<"$folder/tokens"
exit $status
