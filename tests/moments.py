"""Moments at which a test kills a process: between two steps that a crash must not part (see role.py)."""

WORKER_MOMENTS = [
    "store.studies:mark_ready:after",  # study complete, not committed
    "dicom_node.work:run_job",  # job claimed, nothing done
    "dicom_node.pipeline:keep:after",  # first result file on disk, the second not
    "dicom_node.pipeline:record_outcomes",  # all files on disk, no row
    "store.jobs:finish:after",  # all rows written, not committed
    "dicom_node.work:run_job:after",  # committed
    "dicom_node.delivery:conclude",  # the PACS has it, the row does not know
    "store.deliveries:delivered:after",  # the row is written, not committed
]
ASKING_MOMENTS = [
    "dicom_node.commitment_scu:_request",  # recorded, not sent
    "dicom_node.commitment_scu:_request:after",  # sent, nobody waits for the answer any more
    "dicom_node.commitment_scp:take_answer",  # the answer is here, nothing is written
    "store.commitments:answered:after",  # written, not committed
    "dicom_node.commitment_scp:take_answer:after",  # committed, the PACS has no response
]
"""Of the worker of a node whose destination confirms what it keeps at once."""
RECEIVER_MOMENTS = [
    "store.files:FileStore.keep_instance",  # spooled, not kept
    "dicom_node.ingest:Ingest.receive:after",  # row committed, not acknowledged
    "store.instances:register:after",  # file durable, row not committed
]
ADOPTING = "store.instances:register"
"""The next start, about to give a file without row its row."""
