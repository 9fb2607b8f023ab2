#!/bin/bash
# Stands in for systemd: runs what the unit says, as the user that it says, and follows its end.
set -eu
unit=/etc/systemd/system/sluice-broker.service
process=$HOME/systemctl.process

setting() {
    sed -n "s/^$1=//p" "$unit"
}

running() {
    [[ -e "$process" ]] && kill -0 "$(cat "$process")" 2>/dev/null
}

start() {
    running && return
    local user
    user=$(setting User)
    # shellcheck disable=SC2046
    setsid setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- \
        $(setting ExecStart) >>"$HOME/journal" 2>&1 &
    echo $! >"$process"
}

stop() {
    running || return 0
    kill -TERM "$(cat "$process")"
    while running; do sleep 0.05; done
}

verb=$1
service=${!#}
[[ "$verb" == daemon-reload || "$service" == sluice-broker ]]
case "$verb" in
    daemon-reload) [[ -e "$unit" ]] ;;
    enable) [[ "$2" == --now ]] && start ;;
    start) start ;;
    stop) stop ;;
    restart) stop && start ;;
    is-active) running && echo active ;;
    *) echo "systemctl $*: not known here" >&2; exit 1 ;;
esac
