#!/bin/bash
# Stands in for cargo: what a page builds was built before, and must be what is there.
set -eu
[[ "$1 $2" == "build --release" ]]
shift 2
while (($#)); do
    [[ "$1" == "-p" ]]
    case "$2" in
        sluice-broker) [[ -x target/release/sluice-broker ]] ;;
        sluice-cli) [[ -x target/release/sluicectl ]] ;;
        *) echo "error: package $2 is not expected" >&2; exit 1 ;;
    esac
    shift 2
done
