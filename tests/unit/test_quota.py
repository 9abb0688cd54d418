"""A quota gives out so many places at a time for each key."""

import threading

from dicom_node.receive.quota import Quota


def test_places_are_counted_by_key() -> None:
    """A key has its own places, and a place given back can be taken again."""
    quota = Quota(2)

    assert [quota.take("a"), quota.take("a"), quota.take("a"), quota.take("b")] == [True, True, False, True]
    quota.give_back("a")
    assert [quota.take("a"), quota.take("a")] == [True, False]


def test_many_threads() -> None:
    """However many take and give back at once, never more than the limit have a place, and none is lost."""
    quota = Quota(3)
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(500):
            if quota.take("x"):
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1
                quota.give_back("x")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most <= 3
    assert [quota.take("x") for _ in range(4)] == [True, True, True, False]
