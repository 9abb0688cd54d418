"""The program of the process that runs the networks: it reads arrays, never a file.

On a processor it gives up what an analysis process does; on an accelerator, new privileges only.

Started by `networks.NetworksProcess`: python -m …sandbox.networks_child FD.
"""

import os
import socket
import sys

from dicom_node.errors import place_of
from dicom_node.study.image_analyzer import Networks
from dicom_node.study.sandbox.answering import is_shortage
from dicom_node.study.sandbox.channel import Channel
from dicom_node.study.sandbox.confinement import PR_SET_NO_NEW_PRIVS, confine, prctl
from dicom_node.study.sandbox.loading import begin
from dicom_node.study.sandbox.messages import (
    MAX_REQUEST_BYTES,
    Decoded,
    Failure,
    Measured,
    OutOfMemory,
    Ready,
    decode,
    encode,
)
from dicom_node.study.sandbox.pixels import get
from dicom_node.study.sandbox.preload import preload


def main(worker: Channel) -> None:
    """Load the networks, then measure what the worker hands over until it closes the connection."""
    loaded = begin(worker, prepare)
    if loaded is None:
        return
    networks, settings = loaded
    if networks.on_cpu:
        job = settings.job
        confine(memory_bytes=job.image_memory_mb << 20, image_timeout_s=job.image_timeout_s)
    elif sys.platform == "linux":
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    worker.send(encode(Ready(model=networks.model)))
    while True:
        data, (descriptor,) = worker.receive_with_file(limit_bytes=MAX_REQUEST_BYTES)
        try:
            worker.send(encode(measured(networks, decode(data, Decoded, Decoded), descriptor)))
        finally:
            os.close(descriptor)


def prepare(networks: Networks) -> None:
    """Import what measuring may need, where no file can be opened afterwards."""
    if networks.on_cpu:
        preload()


def measured(networks: Networks, decoded: Decoded, descriptor: int) -> Measured | OutOfMemory | Failure:
    """Measure the strips of one image; exceptions become answers."""
    try:
        return Measured(strips=tuple(networks.measure(get(decoded, descriptor))))
    except Exception as error:  # noqa: BLE001 - as above
        return OutOfMemory() if is_shortage(error) else Failure(place=place_of(error))


if __name__ == "__main__":
    try:
        main(Channel(socket.socket(fileno=int(sys.argv[1]))))
    except (EOFError, OSError):  # the worker has ended
        os._exit(1)
