"""Receives messages with Apache's client, takes a while over each, tells of it and acknowledges it.

Without COUNT it goes on until it is told to stop. With COUNT it ends with 0 once it has seen as many different bodies, and with
1 when that takes too long. What becomes of an acknowledgement that fails is not known: its message may come again.
"""

import os
import signal
import sys
import threading
import time

from rocketmq import ClientConfiguration, Credentials, FilterExpression, SimpleConsumer

ENDPOINTS = os.environ["ENDPOINTS"]
TOPIC = os.environ["TOPIC"]
GROUP = os.environ["GROUP"]
COUNT = int(os.environ.get("COUNT", "0"))
WITHIN_SECONDS = float(os.environ.get("WITHIN_SECONDS", "inf"))
# What handling a message takes.
HANDLE_SECONDS = float(os.environ.get("HANDLE_SECONDS", "0"))
BATCH = 32
INVISIBLE_SECONDS = 30
AWAIT_SECONDS = 1
RETRY_SECONDS = 0.5

stop = threading.Event()


def say(text):
    print(text, flush=True)


def handle(consumer, message, seen):
    time.sleep(HANDLE_SECONDS)
    body = message.body.decode()
    say(f"received {body}")
    if COUNT:
        seen.add(body)
    try:
        consumer.ack(message)
    except Exception as error:
        say(f"not acknowledged {body}: {type(error).__name__}: {error}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    deadline = time.monotonic() + WITHIN_SECONDS
    consumer = SimpleConsumer(
        ClientConfiguration(ENDPOINTS, Credentials()),
        GROUP,
        {TOPIC: FilterExpression()},
        AWAIT_SECONDS,
    )
    consumer.startup()
    say("started")
    seen = set()
    while not stop.is_set() and time.monotonic() < deadline and (not COUNT or len(seen) < COUNT):
        try:
            messages = consumer.receive(BATCH, INVISIBLE_SECONDS)
        except Exception as error:
            say(f"cannot receive: {type(error).__name__}: {error}")
            time.sleep(RETRY_SECONDS)
            continue
        for message in messages:
            if stop.is_set():
                break
            handle(consumer, message, seen)
    consumer.shutdown()
    done = not COUNT or len(seen) >= COUNT
    say(f"{len(seen)} seen" if COUNT else "stopped")
    # The client keeps threads that never end.
    sys.stdout.flush()
    os._exit(0 if done else 1)


if __name__ == "__main__":
    main()
