"""Who the node is: cheap to import, stable for ever."""

from pydicom import Dataset

from dicom_node.identity import CODING_SCHEME_UID, IMPLEMENTATION_CLASS_UID, derived_uid, is_own


def test_derived_uids_never_change() -> None:
    """The UID of given parts is fixed: a new release must not send old results again under new names."""
    assert derived_uid("sr", "1.2.3", "1") == "2.25.53636822876277343651880351095872615255"
    assert derived_uid("sr", "1.2.3", "1") != derived_uid("sr", "1.2.31", "")


def test_own_uids_are_legal() -> None:
    """UUID-derived UIDs under 2.25 fit the 64 characters of a UID."""
    for uid in (CODING_SCHEME_UID, IMPLEMENTATION_CLASS_UID, derived_uid("x")):
        root, _, number = uid.rpartition(".")
        assert root == "2.25"
        assert 0 < int(number) < 2**128


def test_objects_of_others_are_not_ours() -> None:
    """Only manufacturer and model together make an object ours; both may be missing."""
    ds = Dataset()
    assert not is_own(ds)
    ds.Manufacturer = "echonode"
    assert not is_own(ds)
    ds.ManufacturerModelName = "echonode M-mode LV"
    assert is_own(ds)
