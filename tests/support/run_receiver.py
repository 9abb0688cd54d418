"""Run a receiver that prints its port as soon as it listens.

    python -m support.run_receiver SETTINGS [--watch-stdin]

SETTINGS is a JSON document.
"""

import sys

from dicom_node.process import logs
from dicom_node.roles.receiver import run_receiver
from dicom_node.settings import Settings


def main() -> int:
    """Receive until told to stop."""
    logs.configure(json=True)
    settings = Settings.model_validate_json(sys.argv[1])
    return run_receiver(settings, ready=_say, watch_stdin="--watch-stdin" in sys.argv)


def _say(port: int) -> None:
    print(port, flush=True)


if __name__ == "__main__":
    sys.exit(main())
