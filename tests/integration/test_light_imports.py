"""What the receiver imports stays light."""

import subprocess
import sys

HEAVY = ("torch", "torchvision", "highdicom", "inference")


def test_the_receiver_can_import_it() -> None:
    """Telling own objects apart loads none of the heavy packages."""
    program = f"import sys, dicom_node.identity; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.split() == []
