"""What DVC is told of the workflow's jobs."""

from serflow.versioning.stages import _portable


def test_names_that_the_user_chose_are_no_facts_of_this_machine():
    joined = {"options": {"corpora": {"files": {"folder": "a"}, "root": {"folder": "b"}}}}
    told = {"root": "/here", "files": ["digest"], "settings": joined | {"state": "digest"}, "code": "c"}
    assert _portable(told) == {"settings": joined, "code": "c"}
