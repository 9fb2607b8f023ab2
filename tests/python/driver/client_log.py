"""The client's log."""

import logging
import sys

from rocketmq.v5.log import logger


def to_standard_error():
    """Where the tests look for it; the client has opened a file below the home folder by then, which stays empty."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(message)s"))
    logger.addHandler(handler)
