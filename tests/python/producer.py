"""Sends messages with Apache's client and tells of each that was acknowledged.

Ends with 0 once all are acknowledged, and with 1 when that takes too long. A send that fails is tried again: what became of
it is not known, so that its message can be there twice.
"""

import os
import sys
import threading
import time
from queue import Empty, SimpleQueue

from rocketmq import ClientConfiguration, Credentials, Message, Producer

ENDPOINTS = os.environ["ENDPOINTS"]
TOPIC = os.environ["TOPIC"]
# Bodies are this, or the name of the pod, with a hyphen and a number.
PREFIX = os.environ.get("PREFIX") or os.environ["POD"]
COUNT = int(os.environ["COUNT"])
IN_FLIGHT = int(os.environ.get("IN_FLIGHT", "64"))
# Between two sends of a thread, for a load that lasts.
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0"))
WITHIN_SECONDS = float(os.environ["WITHIN_SECONDS"])
RETRY_SECONDS = 0.2


def say(text):
    print(text, flush=True)


def send_all(producer, numbers, deadline):
    """What each thread does: takes a number and sends it until it is acknowledged."""
    while True:
        try:
            number = numbers.get_nowait()
        except Empty:
            return
        body = f"{PREFIX}-{number}"
        while time.monotonic() < deadline:
            message = Message()
            message.topic = TOPIC
            message.body = body.encode()
            try:
                producer.send(message)
            except Exception as error:
                say(f"failed {body}: {type(error).__name__}: {error}")
                time.sleep(RETRY_SECONDS)
            else:
                say(f"sent {body}")
                break
        else:
            return
        time.sleep(PAUSE_SECONDS)


def main():
    deadline = time.monotonic() + WITHIN_SECONDS
    numbers = SimpleQueue()
    for number in range(COUNT):
        numbers.put(number)
    producer = Producer(ClientConfiguration(ENDPOINTS, Credentials()), [TOPIC])
    producer.startup()
    started = time.monotonic()
    threads = [
        threading.Thread(target=send_all, args=(producer, numbers, deadline))
        for _ in range(IN_FLIGHT)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    in_time = time.monotonic() < deadline
    say(f"done in {took:.1f} s" if in_time else f"not done within {WITHIN_SECONDS} s")
    producer.shutdown()
    # The client keeps threads that never end.
    sys.stdout.flush()
    os._exit(0 if in_time else 1)


if __name__ == "__main__":
    main()
