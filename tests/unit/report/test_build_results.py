"""The objects as a PACS reads them: header, tree, references, numbers."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from support import builders, measured_strips
from support.reported import AT, OBSERVER, built, clip, code, numbers, read, source, walk

from dicom_node.identity import IMPLEMENTATION_CLASS_UID, derived_uid, is_own
from dicom_node.report.objects import Predecessor
from dicom_node.report.quantities import QUANTITIES

SR_CLASS, SC_CLASS = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.7"


def test_nothing_measured_nothing_made() -> None:
    """An image without a measured strip gets no objects."""
    assert built(source(), [measured_strips.refused()]) == []


def test_one_report_and_one_picture() -> None:
    """An image gives an SR and an overlay, complete files whose meta header says what they hold."""
    ds = source()
    objects = built(ds)
    files = read(*objects)

    assert [(o.kind, o.sop_class_uid) for o in objects] == [("tid5200", SR_CLASS), ("overlay", SC_CLASS)]
    for item, file in zip(objects, files, strict=True):
        assert file.SOPInstanceUID == file.file_meta.MediaStorageSOPInstanceUID == item.sop_instance_uid
        assert file.SOPClassUID == file.file_meta.MediaStorageSOPClassUID == item.sop_class_uid
        assert file.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert file.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        assert file.StudyInstanceUID == ds.StudyInstanceUID
        assert is_own(file)
    series = {ds.SeriesInstanceUID, *(file.SeriesInstanceUID for file in files)}
    assert len(series) == 3
    assert not is_own(ds)


def test_equal_arguments_equal_bytes() -> None:
    """Nothing is random and no clock is read: a retry sends the bytes it sent before."""
    first, second = built(source()), built(source())

    assert first == second


def test_uids_follow_source_model_kind_and_revision() -> None:
    """Another source, model or revision is another instance; later revisions stay in their series."""
    usual = built(source())
    others = [
        built(source(InstanceNumber=2)),
        built(source(), model=replace(measured_strips.MODEL, sha256="f" * 64)),
        built(source(), revision=2),
    ]
    later = built(source(), at=AT + timedelta(days=1))

    uids = [each.sop_instance_uid for objects in [usual, *others] for each in objects]
    assert len(set(uids)) == len(uids)
    assert [each.sop_instance_uid for each in later] == [each.sop_instance_uid for each in usual]
    assert [d.SeriesInstanceUID for d in read(*others[2])] == [d.SeriesInstanceUID for d in read(*usual)]
    assert [d.InstanceNumber for d in read(*others[2])] == [1001, 1001]
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert derived_uid("a", "bc") != derived_uid("ab", "c")


def test_the_tree_is_tid_5200() -> None:
    """Rows, relationships and value types of TID 5200, 1002, 1004, 5202, 5203 in their order."""
    (report, _) = read(*built(source(), [measured_strips.strip_result([measured_strips.cycle()])]))
    found = [
        (len(parents), item.RelationshipType, item.ValueType, code(item)) for parents, item in walk(report)
    ]

    assert (report.ValueType, code(report), report.ContinuityOfContent) == ("CONTAINER", "125200", "SEPARATE")
    template = report.ContentTemplateSequence[0]
    assert (template.MappingResource, template.TemplateIdentifier) == ("DCMR", "5200")
    assert found[:17] == [
        (0, "HAS CONCEPT MOD", "CODE", "121049"),
        (0, "HAS OBS CONTEXT", "CODE", "121005"),
        (0, "HAS OBS CONTEXT", "UIDREF", "121012"),
        (0, "HAS OBS CONTEXT", "TEXT", "121013"),
        (0, "HAS OBS CONTEXT", "TEXT", "121014"),
        (0, "HAS OBS CONTEXT", "TEXT", "121015"),
        (0, "HAS OBS CONTEXT", "TEXT", "121016"),
        (0, "CONTAINS", "CONTAINER", "59776-5"),
        (1, "HAS CONCEPT MOD", "CODE", "363698007"),
        (1, "CONTAINS", "CONTAINER", "125007"),
        (2, "HAS CONCEPT MOD", "CODE", "399264008"),
        (2, "HAS CONCEPT MOD", "TEXT", "111001"),
        (2, "HAS CONCEPT MOD", "TEXT", "111003"),
        (2, "HAS CONCEPT MOD", "TEXT", "111002"),
        (2, "CONTAINS", "NUM", "18154-5"),
        (3, "INFERRED FROM", "SCOORD", "121112"),
        (4, "SELECTED FROM", "IMAGE", "121112"),
    ]


def test_every_number_with_its_unit_and_method() -> None:
    """The report holds table 4 of measurements: rounded as the overlay shows them, unit, method."""
    result = measured_strips.strip_result()
    found = numbers(read(*built(source(), [result]))[0])

    assert list(found) == [quantity.concept.value for quantity in QUANTITIES]
    for quantity in QUANTITIES:
        item = found[quantity.concept.value]
        measured = item.MeasuredValueSequence[0]
        value = result.measurements[quantity.key].value
        assert float(measured.NumericValue) == float(quantity.text(value))
        assert float(measured.get("FloatingPointValue", measured.NumericValue)) == float(
            measured.NumericValue
        )
        assert code(measured, "MeasurementUnitsCodeSequence") == quantity.unit.value
        methods = [code(c, "ConceptCodeSequence") for c in item.ContentSequence if code(c) == "370129005"]
        assert methods == ([quantity.method.value] if quantity.method else [])


def test_golden_ge_example() -> None:
    """LVIDd 3.94 and LVIDs 2.46 cm are reported with the volumes and EF that belong to them."""
    result = measured_strips.strip_result()
    values = {"LVIDd_cm": 3.94, "EDV_ml": 67.486, "ESV_ml": 21.442, "EF_percent": 68.23, "FS_percent": 37.56}
    known = {key: replace(result.measurements[key], value=value) for key, value in values.items()}
    found = numbers(read(*built(source(), [replace(result, measurements=known)]))[0])

    said = {concept: float(item.MeasuredValueSequence[0].NumericValue) for concept, item in found.items()}
    assert said == {"29436-3": 3.94, "18026-5": 67.5, "18148-7": 21.4, "18043-0": 68.2, "18051-3": 37.6}


@pytest.mark.parametrize("beats", [1, 3])
def test_a_mean_says_so(beats: int) -> None:
    """The mean of several beats carries Derivation and Selection Status, a single beat neither."""
    result = measured_strips.strip_result([measured_strips.cycle(180.0 * n) for n in range(beats)])
    for item in numbers(read(*built(source(), [result]))[0]).values():
        found = {
            (c.RelationshipType, code(c), code(c, "ConceptCodeSequence"))
            for c in item.ContentSequence
            if c.ValueType == "CODE" and code(c) in {"121401", "121404"}
        }
        mean = {("HAS CONCEPT MOD", "121401", "373098007"), ("HAS PROPERTIES", "121404", "121412")}
        assert found == (mean if beats > 1 else set())


def test_calipers_point_at_the_source() -> None:
    """Each length has its line per used beat in pixel corners; calculated values name the image."""
    ds, result = source(), measured_strips.strip_result()
    found = numbers(read(*built(ds, [result]))[0])
    lines = [c for c in found["29436-3"].ContentSequence if c.ValueType == "SCOORD"]

    assert [line.GraphicType for line in lines] == ["POLYLINE"] * 3
    for line, cycle in zip(lines, result.cycles, strict=True):
        x, upper, lower = cycle.landmarks.diastole[0][0], *(y for _, y in cycle.landmarks.diastole[1:3])
        expected = [x + 0.5, upper + 0.5, x + 0.5, lower + 0.5]
        assert line.GraphicData == pytest.approx(expected, abs=1e-4)
        reference = line.ContentSequence[0].ReferencedSOPSequence[0]
        assert (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID) == (
            ds.SOPClassUID,
            ds.SOPInstanceUID,
        )
        assert "ReferencedFrameNumber" not in reference
    beat = next(c for c in found["8867-4"].ContentSequence if c.ValueType == "SCOORD")
    assert beat.GraphicData[2] - beat.GraphicData[0] == pytest.approx(160)
    assert [c.ValueType for c in found["18043-0"].ContentSequence][-1] == "IMAGE"


def test_frames_of_a_clip_are_named() -> None:
    """Of a multi-frame source each group names its frame, and each measured frame gets a picture."""
    results = [measured_strips.strip_result(frame=2), measured_strips.strip_result(frame=0)]
    report, first, last = read(*built(clip(), results))

    groups = [item for _, item in walk(report) if code(item) == "125007"]
    frames = [
        {
            item.ReferencedSOPSequence[0].ReferencedFrameNumber
            for _, item in walk(group)
            if item.ValueType == "IMAGE"
        }
        for group in groups
    ]
    assert frames == [{1}, {3}]
    assert [ds.SourceImageSequence[0].ReferencedFrameNumber for ds in (first, last)] == [1, 3]
    assert first.SOPInstanceUID != last.SOPInstanceUID
    assert first.SeriesInstanceUID == last.SeriesInstanceUID


def test_several_strips_are_several_groups() -> None:
    """Each measured strip of one image is a measurement group; refused ones are none."""
    upper = measured_strips.strip_result([measured_strips.cycle(top_px=-40)], region_px=(0, 0, 599, 199))
    lower = measured_strips.strip_result(
        [measured_strips.cycle(300, top_px=190)], region_px=(0, 200, 599, 399), index=1
    )
    objects = built(source(), [upper, measured_strips.refused(), lower])

    groups = [item for _, item in walk(read(*objects)[0]) if code(item) == "125007"]
    assert len(objects) == 2
    assert [sum(c.ValueType == "NUM" for c in group.ContentSequence) for group in groups] == [15, 15]


def test_a_missing_value_is_left_out() -> None:
    """What was not measured is not sent, not even as zero, and the report is partial."""
    result = measured_strips.strip_result()
    gone = replace(result.measurements["EF_percent"], value=float("nan"))
    partial = read(
        *built(source(), [replace(result, measurements={**result.measurements, "EF_percent": gone})])
    )
    complete = read(*built(source(), [result]))

    assert "18043-0" not in numbers(partial[0])
    assert (partial[0].CompletionFlag, complete[0].CompletionFlag) == ("PARTIAL", "COMPLETE")


def test_nobody_has_verified_it() -> None:
    """Observed by a device of this installation, unverified and preliminary, by a named model."""
    report = read(*built(source()))[0]
    texts = {
        code(i): str(i.get("TextValue") or i.get("UID"))
        for _, i in walk(report)
        if i.ValueType in {"TEXT", "UIDREF"}
    }

    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert texts["121012"] == texts["121016"] == report.DeviceSerialNumber == OBSERVER
    assert (texts["111001"], texts["111003"]) == ("test-model", "1.2.3")
    assert measured_strips.MODEL.sha256 in texts["111002"]
    assert list(report.SoftwareVersions)[1:] == [measured_strips.MODEL.sha256, "test-model 1.2.3"]
    assert report.ContributingEquipmentSequence[0].Manufacturer == "Test Devices"


def test_evidence_request_and_coding_scheme() -> None:
    """The source is listed as evidence, the order is repeated, the private scheme introduced."""
    ds = source()
    report = read(*built(ds))[0]
    study = report.CurrentRequestedProcedureEvidenceSequence[0]
    series = study.ReferencedSeriesSequence[0]

    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert report.ReferencedRequestSequence[0].AccessionNumber == ds.AccessionNumber
    assert report.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99ECHONODE"
    assert "PredecessorDocumentsSequence" not in report
    assert "ReferencedRequestSequence" not in read(*built(source(AccessionNumber="")))[0]


def test_a_revision_names_the_report_it_replaces() -> None:
    """A corrected report refers to the one before it."""
    old = read(*built(source()))[0]
    new = read(
        *built(
            source(),
            revision=2,
            predecessors={
                "tid5200": Predecessor(
                    sop_class_uid=old.SOPClassUID,
                    sop_instance_uid=old.SOPInstanceUID,
                    series_instance_uid=old.SeriesInstanceUID,
                    study_uid=old.StudyInstanceUID,
                )
            },
        )
    )[0]
    study = new.PredecessorDocumentsSequence[0]
    series = study.ReferencedSeriesSequence[0]

    assert study.StudyInstanceUID == new.StudyInstanceUID
    assert series.SeriesInstanceUID == new.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID


@pytest.mark.parametrize(
    ("offset", "day", "time"),
    [
        (None, "20260102", "233015.250000"),
        ("+0130", "20260103", "010015.250000"),
        ("-0800", "20260102", "153015.250000"),
    ],
)
def test_times_are_in_the_sources_offset(offset: str | None, day: str, time: str) -> None:
    """Content and creation times are `at`, on the clock of the source."""
    for ds in read(*built(source(**({"TimezoneOffsetFromUTC": offset} if offset else {})))):
        assert (ds.ContentDate, ds.ContentTime) == (day, time)
        assert (ds.InstanceCreationDate, ds.InstanceCreationTime) == (day, time)
        assert ds.get("TimezoneOffsetFromUTC") == offset


def test_the_moment_must_be_aware() -> None:
    """A time without a zone is refused."""
    with pytest.raises(ValueError, match="time zone"):
        built(source(), at=datetime(2026, 1, 2))  # noqa: DTZ001 (the mistake under test)


def test_the_picture_is_the_sources_matrix() -> None:
    """The overlay is an RGB picture of the source's size and keeps its calibration."""
    ds = source()
    picture = read(*built(ds))[1]

    assert picture.pixel_array.shape == (400, 600, 3)
    assert (picture.PhotometricInterpretation, picture.PlanarConfiguration) == ("RGB", 0)
    assert list(picture.ImageType) == ["DERIVED", "SECONDARY"]
    assert picture.SequenceOfUltrasoundRegions == ds.SequenceOfUltrasoundRegions
    assert "PixelSpacing" not in picture
    source_item = picture.SourceImageSequence[0]
    assert source_item.ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert code(source_item, "PurposeOfReferenceCodeSequence") == "121322"


def test_a_later_picture_says_that_it_replaces_the_earlier_one() -> None:
    """Same series, a higher number, and a comment that any viewer shows; the first one has none."""
    first, second = (read(*built(source(), revision=revision))[1] for revision in (1, 2))

    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert second.InstanceNumber > first.InstanceNumber
    assert "ImageComments" not in first
    assert second.ImageComments.startswith("Revision 2")


def test_a_newer_model_stays_in_the_series() -> None:
    """The picture of another model is another instance beside the one it replaces."""
    newer = replace(measured_strips.MODEL, sha256="f" * 64)
    first, second = (
        read(*built(source(), revision=revision, model=model))[1]
        for revision, model in ((1, measured_strips.MODEL), (2, newer))
    )

    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


@pytest.mark.parametrize(("said", "written"), [("NO", "NO"), ("YES", "YES"), (None, "YES")])
def test_burned_in_annotation(said: str | None, written: str) -> None:
    """Only a source that says it shows no identity gives a picture that says so."""
    attributes = {"BurnedInAnnotation": said} if said else {}

    assert read(*built(source(**attributes)))[1].BurnedInAnnotation == written


def test_once_lossy_always_lossy() -> None:
    """The picture of a JPEG is lossy, with the ratio and method the source states."""
    pixels = builders.texture(400, 600)
    lossy = builders.with_jpeg(
        source(LossyImageCompressionRatio=8), [builders.jpeg(pixels)], photometric="MONOCHROME2"
    )
    silent = builders.with_jpeg(source(), [builders.jpeg(pixels)], photometric="MONOCHROME2")
    del silent.LossyImageCompression
    first, second, plain = (read(*built(ds))[1] for ds in (lossy, silent, source()))

    assert (first.LossyImageCompression, first.LossyImageCompressionRatio) == ("01", 8)
    assert first.LossyImageCompressionMethod == "ISO_10918_1"
    assert second.LossyImageCompression == "01"
    assert plain.LossyImageCompression == "00"
