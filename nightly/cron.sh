#!/usr/bin/env bash
# A night of fuzzing on a machine of your own: shards one after the other, then one report of all.
#
#   nightly/cron.sh ROOT [OPTION...]
#
# ROOT/state is what earlier nights know. Each night has a folder such as ROOT/2026-11-23T02-23-00, with shard-0, shard-1
# and so on, and the report of all in report. Options go to every shard's pytest.
#
# Variables: SHARDS (3), BUDGET of each shard (30m), PROFILE (nightly), DEVICE (cuda), PYTHON of the environment (python3).
# Exit status: as of the worst shard: 0 nothing new, 1 new findings, otherwise something could not run.
set -uo pipefail
if [ $# -lt 1 ]; then
  echo "usage: nightly/cron.sh ROOT [OPTION...]" >&2
  exit 2
fi
mkdir -p "$1" || exit 2
root=$(realpath "$1")
shift
cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python3} device=${DEVICE:-cuda} budget=${BUDGET:-30m} shards=${SHARDS:-3} profile=${PROFILE:-nightly}
night=$root/$(date -u +%Y-%m-%dT%H-%M-%S)
known=(--known-issues "$root/state/known_issues.toml" --corpus "$root/state/corpus")

exec 9>"$root/lock"
if ! flock --nonblock 9; then
  echo "not started: an earlier night in $root is still running" >&2
  exit 2
fi

"$python" -m fuzz remember "$root/state" || exit 2
"$python" -m fuzz doctor --device "$device" --reports-dir "$night/shard-0" "${known[@]}" || exit 2

worst=0
written=()
for ((shard = 0; shard < shards; shard++)); do
  reports=$night/shard-$shard
  "$python" -m pytest fuzz/ -p no:cacheprovider --fuzz-device "$device" --fuzz-profile "$profile" --fuzz-budget "$budget" \
    --fuzz-seed "$(($(date -u +%s) + shard))" --reports-dir "$reports" "${known[@]}" "$@"
  status=$?
  if [ "$status" -gt "$worst" ]; then worst=$status; fi
  if [ -e "$reports/run.json" ]; then written+=("$reports"); fi
done

if [ ${#written[@]} -gt 0 ]; then
  "$python" -m fuzz merge "${written[@]}" --into "$night/report" || exit 2
  "$python" -m fuzz remember "$root/state" "$night/report" || exit 2
fi
exit "$worst"
