"""Every reason of a decline has one class."""

from payment_pipeline.domain.declines import CLASSES, DeclineClass, DeclineReason


def test_every_reason_has_a_class() -> None:
    assert CLASSES.keys() == set(DeclineReason)


def test_every_class_has_a_reason() -> None:
    assert set(CLASSES.values()) == set(DeclineClass)


def test_an_unknown_reason_calls_for_nothing() -> None:
    assert CLASSES[DeclineReason.UNKNOWN] is DeclineClass.OTHER


def test_a_reason_with_the_name_of_a_class_is_in_that_class() -> None:
    for each in set(DeclineClass) & {DeclineClass(each) for each in _shared()}:
        assert CLASSES[DeclineReason(each)] is each


def _shared() -> set[str]:
    return {str(each) for each in DeclineReason} & {str(each) for each in DeclineClass}
