#!/usr/bin/env python3
"""Stands in for systemd: runs what the service's unit says, as the user that it says, and holds the socket of the socket unit."""

import os
import pathlib
import select
import signal
import socket
import sys
import time

UNITS = "/etc/systemd/system"
SERVICE, SOCKET = "sluice-broker.service", "sluice-broker.socket"
HOME = os.environ["HOME"]
READY = f"{HOME}/{SOCKET}.ready"
FIRST_DESCRIPTOR = 3
LOOK_EVERY = 0.05


def setting(unit, key):
    with open(f"{UNITS}/{unit}") as lines:
        return next(line.partition("=")[2].strip() for line in lines if line.startswith(f"{key}="))


def process(unit):
    """The number of the unit's process while it runs."""
    try:
        with open(f"{HOME}/{unit}.process") as file:
            number = int(file.read())
        os.kill(number, 0)
        return number
    except (OSError, ValueError):
        return None


def note(unit, number):
    with open(f"{HOME}/{unit}.new", "w") as file:
        file.write(str(number))
    os.rename(file.name, f"{HOME}/{unit}.process")


def wait(holds):
    while not holds():
        time.sleep(LOOK_EVERY)


def launch(listening=None):
    """Becomes the broker; a socket is handed over as sd_listen_fds(3) says."""
    journal = os.open(f"{HOME}/journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(journal, 1)
    os.dup2(journal, 2)
    if listening:
        os.dup2(listening.fileno(), FIRST_DESCRIPTOR)
        # It may have had that number already.
        os.set_inheritable(FIRST_DESCRIPTOR, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    user = setting(SERVICE, "User")
    rights = ["--init-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    command = ["setpriv", "--reuid", user, "--regid", user, *rights, "--", *setting(SERVICE, "ExecStart").split()]
    os.execvp(command[0], command)


def fork(unit, work):
    number = os.fork()
    if number == 0:
        os.setsid()
        work()
        os._exit(0)
    note(unit, number)


def hold():
    """Starts the service when it is told to, and when a client connects while it does not run."""
    asked = []
    signal.signal(signal.SIGUSR1, lambda *_: asked.append(True))
    # Who has ended is gone at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    host, _, port = setting(SOCKET, "ListenStream").rpartition(":")
    listening = socket.create_server((host, int(port)), backlog=int(setting(SOCKET, "Backlog")))
    open(READY, "w").close()
    while True:
        connecting = bool(select.select([listening], [], [], LOOK_EVERY)[0])
        if (connecting or asked) and not process(SERVICE):
            fork(SERVICE, lambda: launch(listening))
        if asked:
            asked.pop()


def start(unit):
    if process(unit):
        return
    if unit == SOCKET:
        # A signal that comes before its handler is there would end the holder, so what an earlier one said does not count.
        pathlib.Path(READY).unlink(missing_ok=True)
        fork(SOCKET, hold)
        wait(lambda: os.path.exists(READY))
    elif holder := process(SOCKET):
        os.kill(holder, signal.SIGUSR1)
        wait(lambda: process(SERVICE))
    else:
        fork(SERVICE, launch)


def stop(unit):
    if number := process(unit):
        os.kill(number, signal.SIGTERM)
        wait(lambda: not process(unit))


def main(verb, *arguments):
    if verb == "daemon-reload":
        return setting(SERVICE, "ExecStart")
    named = [name if "." in name else f"{name}.service" for name in arguments if not name.startswith("-")]
    assert named and set(named) <= {SERVICE, SOCKET}, f"units not known here: {arguments}"
    # systemd orders a socket before its service, both ways.
    units = sorted(named, key=[SOCKET, SERVICE].index)
    if verb == "enable":
        assert "--now" in arguments
    if verb in ("stop", "restart"):
        [stop(unit) for unit in units]
    if verb in ("start", "restart", "enable"):
        [start(unit) for unit in units]
    elif verb == "is-active":
        if not all(process(unit) for unit in units):
            sys.exit(3)
        print("active")
    elif verb != "stop":
        sys.exit(f"systemctl {verb}: not known here")
    return None


main(*sys.argv[1:])
