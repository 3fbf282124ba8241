#!/bin/sh
# Runs scenarios/gateways through every gateway on Apache Kafka in Docker, in turn, so that what the machine does meanwhile
# falls on all of them alike, and prints the table. A run that fails does not end it: the table's footer names it, and the
# exit code is 1.
#
#   gateways.sh WEIR RUNS [FLAG...]    the flags go to each `weir run`
#
# node-ws in its naive variant has a consumer for each connection. It takes part in work that is like the others' but for
# 20 clients, beside those that it is to be compared with.
set -eu
weir=$1 runs=$2
shift 2
out=results/runs/gateways-$(date -u +%Y%m%d-%H%M%S)
mkdir -p "$out"

measure() { # measure WORK GATEWAY FLAG...: a scenario's name, -20 behind it where its clients are 20; uses round
  work=$1 gateway=$2
  shift 2
  dir=$out/$work-$(echo "$gateway" | sed 's/target: //; s/, variant: /-/')-$round
  echo "$dir" >>"$out/runs.txt"
  echo "round $round of $runs: $work, $gateway" >&2
  "$weir" run "scenarios/gateways/${work%-20}.yaml" --quiet --out "$dir" --set kafka.provider=docker \
    --set "gateway={$gateway, ready_in: 2m}" "$@" >"$dir.txt" 2>&1 || echo "  exit code $?: see $dir.txt" >&2
}

round=1
while [ "$round" -le "$runs" ]; do
  for scenario in broadcast keyed reconnect; do
    for gateway in 'target: reference' 'target: node-ws, variant: shared' 'target: spring-boot'; do
      measure "$scenario" "$gateway" "$@"
    done
    for gateway in 'target: reference' 'target: node-ws, variant: shared' 'target: node-ws, variant: naive'; do
      measure "$scenario-20" "$gateway" --set "name=gateways-$scenario-20" --set clients.viewers.count=20 "$@"
    done
  done
  round=$((round + 1))
done

# A run directory's name holds no blank.
# shellcheck disable=SC2046
exec go run ./internal/sidebyside $(cat "$out/runs.txt")
