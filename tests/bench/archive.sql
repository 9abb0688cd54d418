-- The rows of an archive as the version before migration 0007 wrote them; `make` in archive.py gives the values.

CREATE TEMP TABLE s AS
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $studies)
SELECT
    i,
    -- As scanners make them: no two neighbours in time are neighbours in an index.
    '$root.' || (i * 2654435761 % 4294967296) || '.' || i AS uid,
    strftime('%Y-%m-%dT%H:%M:%f', $begin + $every_s * i, 'unixepoch') || '000Z' AS at,
    i > $received AS is_receiving,
    i <= $measured AS is_measured,
    i % 1000 = 7 AS failed,
    i <= $studies / 2 AS is_gone
FROM n;

INSERT INTO studies (study_uid, state, revision, first_received_at, last_received_at)
SELECT uid,
    CASE WHEN is_receiving THEN 'RECEIVING' WHEN NOT is_measured THEN 'READY' WHEN failed THEN 'FAILED' ELSE 'DONE' END,
    1, at, at
FROM s;

INSERT INTO instances (
    sop_instance_uid, sop_class_uid, study_uid, series_uid, transfer_syntax_uid, path, sha256, size_bytes, peer_ae,
    peer_ip, state, reason, detail, received_at, file_gone_at
)
SELECT uid || '.' || k, '1.2.840.10008.5.1.4.1.1.6.1', uid, uid || '.0', '1.2.840.10008.1.2.1',
    'instances/' || uid || '/' || uid || '.' || k || '.dcm', printf('%064x', i * 2 + k), 900000, '$peer', '192.0.2.10',
    CASE WHEN NOT is_measured THEN 'RECEIVED' WHEN k = 1 THEN 'MEASURED' ELSE 'NOT_MEASURED' END,
    CASE WHEN k = 2 AND is_measured THEN 'no_mmode_region' END,
    '{"cycles":[{"LVIDd_cm":4.81,"LVIDs_cm":3.14}],"model_sha256":"' || printf('%064x', 1) || '","revision":1}',
    at, CASE WHEN is_gone THEN at END
FROM s, (SELECT 1 AS k UNION ALL SELECT 2);

INSERT INTO jobs (id, study_uid, revision, state, attempts, not_before, error, created_at)
SELECT i, uid, 1, CASE WHEN NOT is_measured THEN 'QUEUED' WHEN failed THEN 'DEAD' ELSE 'DONE' END, 1, at, NULL, at
FROM s WHERE NOT is_receiving;

INSERT INTO results (
    id, kind, study_uid, revision, source_sop_instance_uid, sop_instance_uid, sop_class_uid, path, sha256, created_at,
    file_gone_at
)
SELECT i * 2 + k, CASE k WHEN 0 THEN 'tid5200' ELSE 'overlay' END, uid, 1, uid || '.1', uid || '.9.' || k,
    '1.2.840.10008.5.1.4.1.1.88.33', 'results/' || uid || '/' || uid || '.9.' || k || '.dcm',
    printf('%064x', i * 2 + k), at, CASE WHEN is_gone THEN at END
FROM s, (SELECT 0 AS k UNION ALL SELECT 1) WHERE is_measured;

INSERT INTO deliveries (
    result_id, destination, state, attempts, next_attempt_at, last_status, error, waiting_since, asks
)
SELECT i * 2 + k, '$destination', CASE WHEN i <= $delivered THEN 'DELIVERED' ELSE 'PENDING' END, 1, at, 0, NULL, at, 0
FROM s, (SELECT 0 AS k UNION ALL SELECT 1) WHERE is_measured;

INSERT INTO commitment_reports (
    transaction_uid, peer_ae, peer_ip, items, state, attempts, next_attempt_at, error, created_at
)
SELECT uid, '$peer', '192.0.2.10', '[]', 'REPORTED', 1, at, NULL, at FROM s WHERE i % 10 = 0;
