"""Moments at which a test kills a process: between two steps that a crash must not part (see role.py)."""

WORKER_MOMENTS = [
    "store.rows.studies:mark_ready:after",  # study complete, not committed
    "dicom_node.roles.worker:run_job",  # job claimed, nothing done
    "dicom_node.study.kept_results:_keep",  # files are announced, none is written
    "store.files.placing:Placing.place",  # the first result is written, but has not got its name
    "dicom_node.study.kept_results:_keep:after",  # first result file on disk, the second not
    "dicom_node.study.pipeline:record_outcomes",  # all files on disk, no row
    "store.rows.jobs:finish:after",  # all rows written, not committed
    "dicom_node.roles.worker:run_job:after",  # committed
    "dicom_node.delivery.outbox:conclude",  # the PACS has it, the row does not know
    "store.rows.delivery_transitions:delivered:after",  # the row is written, not committed
]
ASKING_MOMENTS = [
    "dicom_node.commitment.scu:_request",  # recorded, not sent
    "dicom_node.commitment.scu:_request:after",  # sent, nobody waits for the answer any more
    "dicom_node.commitment.scp:take_answer",  # the answer is here, nothing is written
    "store.rows.commitment_requests:answered:after",  # written, not committed
    "dicom_node.commitment.scp:take_answer:after",  # committed, the PACS has no response
]
"""Of the worker of a node whose destination confirms what it keeps at once."""
RECEIVER_MOMENTS = [
    "store.files.file_store:FileStore.keep_instance",  # spooled, not kept
    "dicom_node.receive.ingest:Ingest.receive:after",  # row committed, not acknowledged
    "store.rows.instances:register:after",  # file durable, row not committed
]
ADOPTING = "store.rows.instances:register"
"""The next start, about to give a file without row its row."""
RETENTION_MOMENTS = [
    "store.rows.retention_candidates:mark_gone:after",  # the rows say that the files are gone, not committed
    "store.files.file_store:FileStore.remove",  # committed, the files are still there
    "store.files.file_store:FileStore.remove:after",  # the files are gone, and nobody has noted it
    "store.rows.retention_candidates:removed:after",  # noted, not committed
]
CHECKPOINT_MOMENTS = [
    "dicom_node.audit.checkpoints:take:after",  # signed, not written
    "dicom_node.audit.checkpoints:_append:after",  # written, not recorded
]
MIGRATION_MOMENTS = [
    "alembic.op:create_table:after",  # the first table is made
    "alembic.op:execute",  # tables and columns are made, nothing is filled
    "alembic.op:create_index:after",  # some indexes are made
    "alembic.command:upgrade:after",  # all is done, not committed
]
"""Of the process that migrates: the first one of the node to start."""
