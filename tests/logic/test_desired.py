"""From what the sources gave to the specs in force: good versions, duplicates, disappearances, alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from parts.core import NOW, SOURCE, a_problem, a_spec, desired, reading, resolved, revive

from reconciler.logic.desired import Desired, ReadFile, Reading, Resolution, names_in, resolve
from reconciler.model import Origin, StoredSpec, WatcherName

OTHER = "directory:/v"


def in_force(resolution: Resolution) -> dict[str, str]:
    """Name -> pattern of every spec in force."""
    return {str(name): str(spec.spec.pattern) for name, spec in resolution.desired.items()}


def gone(resolution: Resolution) -> list[str]:
    return [str(vanished.stored.name) for vanished in resolution.vanished]


def since(spec: Desired, seconds: float) -> StoredSpec:
    """The spec as the state keeps it, its file being gone for so long."""
    return replace(spec.stored(), missing_since=NOW - seconds)


def note(resolution: Resolution, name: str) -> str:
    return resolution.desired[WatcherName(name)].note


# --- bad files -------------------------------------------------------------------------------------------------------


def test_good_files_are_in_force_and_bad_ones_say_why() -> None:
    resolution = resolved(reading("a", "b", bad=["/w/c.yaml"]))
    assert sorted(in_force(resolution)) == ["a", "b"]
    assert [problem.file for problem in resolution.problems] == ["/w/c.yaml"]


def test_a_file_that_became_bad_keeps_its_last_good_version() -> None:
    good = desired(a_spec("w", pattern="good"))
    resolution = resolved(reading("other", bad=[good.origin.file]), before=[good])
    assert in_force(resolution) == {"other": "hit", "w": "good"}
    assert "last good version" in note(resolution, "w")
    assert resolution.desired[good.name].binds


def test_every_spec_of_a_file_that_became_bad_stays() -> None:
    specs = [desired(name, file="/w/all.yaml") for name in ("a", "b", "c")]
    assert sorted(in_force(resolved(reading(bad=["/w/all.yaml"]), before=specs))) == ["a", "b", "c"]


def test_a_bad_file_ends_the_grace_of_a_spec_that_was_gone() -> None:
    spec = desired("w")
    resolution = resolved(reading("other", bad=[spec.origin.file]), before=[since(spec, 500)])
    assert gone(resolution) == []
    assert resolution.desired[spec.name].missing_since is None


def test_a_file_that_was_moved_and_spoiled_at_once_keeps_its_last_good_version() -> None:
    moved, gone_for_good = desired("w"), desired("x")
    file = ReadFile("/w/new.yaml", (), (a_problem("/w/new.yaml"),), frozenset({"w", "y"}))
    where = Reading(SOURCE, (file,), deliberate=True, revision="0123456789abcdef")
    resolution = resolved(where, before=[since(moved, 500), gone_for_good])
    assert (list(resolution.desired), gone(resolution)) == (["w"], ["x"])
    assert note(resolution, "w").startswith("/w/new.yaml defines it")
    assert resolution.desired[moved.name].missing_since is None


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("name: w\npattern: [\n", {"w"}),
        ("- name: a b  # why\n  pattern: x\n- name: 'c: d'\n", {"a b", "c: d"}),
        ('{"name": "w", "pattern": ', {"w"}),
        ("{name: w, pattern: x", {"w", "w, pattern: x"}),
        ("\tname:\tw\r\n", {"w"}),
        ("name: caf\xe9\n", {"caf\ufffd"}),
        ("name:\nsurname: x\nname: # none\n", set()),
    ],
)
def test_the_names_in_a_file_that_cannot_be_read_are_found_in_its_text(content: str, names: set[str]) -> None:
    assert names_in(content.encode("latin-1", errors="replace")) == names


def test_a_mere_warning_makes_no_file_bad() -> None:
    given = desired("w")
    file = ReadFile(given.origin.file, (given,), (a_problem(given.origin.file, severity="warning"),))
    resolution = resolved(Reading(SOURCE, (file,)))
    assert list(resolution.desired) == ["w"]
    assert [problem.severity for problem in resolution.problems] == ["warning"]


def test_a_stored_spec_that_this_version_cannot_read_is_neither_run_nor_dropped() -> None:
    unreadable = StoredSpec(
        WatcherName("w"), "d", '{"name":"w","actions":[{"type":"of_tomorrow"}]}', Origin(SOURCE, "/w/w.yaml", 1)
    )
    from reconciler.logic.desired import resolve

    resolution = resolve([reading("other")], [unreadable], revive=lambda stored: None, now=NOW, grace=120)
    assert (list(resolution.desired), resolution.vanished) == (["other"], ())


# --- one name twice --------------------------------------------------------------------------------------------------


def test_of_two_definitions_the_first_counts_and_both_places_are_named() -> None:
    first, second = desired("w", file="/w/a.yaml", line=4), desired(a_spec("w", pattern="b"), file="/w/b.yaml", line=9)
    resolution = resolved(reading(first, second))
    assert in_force(resolution) == {"w": "hit"}
    (problem,) = resolution.problems
    assert (problem.code, problem.file, problem.line) == ("duplicate-name", "/w/b.yaml", 9)
    assert "/w/a.yaml:4" in problem.message


def test_the_definition_in_force_stays_whatever_stands_before_it() -> None:
    old = desired(a_spec("w", pattern="old"), file="/w/m.yaml")
    newcomer = desired(a_spec("w", pattern="new"), file="/w/a.yaml")
    resolution = resolved(reading(newcomer, old), before=[old])
    assert in_force(resolution) == {"w": "old"}
    assert resolution.problems[0].file == "/w/a.yaml"


def test_an_edit_of_the_definition_in_force_is_taken_though_it_has_a_double() -> None:
    old = desired(a_spec("w", pattern="old"), file="/w/m.yaml")
    edited = desired(a_spec("w", pattern="edited"), file="/w/m.yaml")
    newcomer = desired(a_spec("w", pattern="new"), file="/w/a.yaml")
    assert in_force(resolved(reading(newcomer, edited), before=[old])) == {"w": "edited"}


def test_a_double_in_the_same_file_does_not_take_over() -> None:
    first = desired(a_spec("w", pattern="first"), file="/w/a.yaml", line=1)
    second = desired(a_spec("w", pattern="second"), file="/w/a.yaml", line=9)
    assert in_force(resolved(reading(first, second), before=[first])) == {"w": "first"}
    assert in_force(resolved(reading(second, first), before=[first])) == {"w": "first"}


def test_where_the_definition_in_force_goes_its_double_takes_its_place() -> None:
    old = desired(a_spec("w", pattern="old"), file="/w/a.yaml")
    double = desired(a_spec("w", pattern="double"), file="/w/b.yaml")
    assert in_force(resolved(reading(double), before=[old])) == {"w": "double"}


def test_a_double_in_another_source_is_an_error_too() -> None:
    ours, theirs = desired("w"), desired(a_spec("w", pattern="b"), source=OTHER)
    resolution = resolved(reading(ours), reading(theirs, source=OTHER), before=[ours])
    assert in_force(resolution) == {"w": "hit"}
    assert resolution.problems[0].file == "/v/w.yaml"


@pytest.mark.parametrize("there", [True, False])
def test_a_definition_in_a_source_that_is_not_read_stays_while_it_stands(there: bool) -> None:
    old, new = desired(a_spec("w", pattern="old"), source=OTHER, line=4), desired(a_spec("w", pattern="new"))
    stored = [old.stored()]
    resolution = resolve([reading(new)], stored, revive=revive, now=NOW, grace=120, stands=lambda old, new: there)
    assert in_force(resolution) == {"w": "old" if there else "new"}
    assert [(p.code, p.file, "/v/w.yaml:4" in p.message) for p in resolution.problems] == (
        [("duplicate-name", "/w/w.yaml", True)] if there else []
    )


def test_a_definition_in_a_source_that_cannot_be_read_is_not_taken_over() -> None:
    old, new = desired(a_spec("w", pattern="old"), source=OTHER), desired(a_spec("w", pattern="new"))
    resolution = resolved(reading(new), Reading(OTHER, failed="no such directory"), before=[old])
    assert in_force(resolution) == {"w": "old"}
    assert [problem.code for problem in resolution.problems] == ["duplicate-name"]


# --- gone ------------------------------------------------------------------------------------------------------------


def test_a_spec_that_disappears_stays_for_the_grace() -> None:
    spec = desired("w")
    first = resolved(reading("other"), before=[spec, desired("other")])
    assert gone(first) == []
    kept = first.desired[spec.name]
    assert (kept.missing_since, kept.binds) == (NOW, True)
    assert "stops in 120 s" in kept.note
    later = resolved(reading("other"), before=[kept], now=NOW + 119)
    assert gone(later) == []
    assert "stops in 1 s" in note(later, "w")


def test_a_spec_that_stays_away_for_the_grace_is_dropped() -> None:
    resolution = resolved(reading("other"), before=[since(desired("w"), 120)])
    assert gone(resolution) == ["w"]
    assert not resolution.vanished[0].deliberate


def test_a_spec_is_never_dropped_at_the_first_look_however_short_the_grace() -> None:
    stored = [desired("w").stored()]
    assert gone(resolve([reading("other")], stored, revive=revive, now=NOW, grace=0.0)) == []


def test_a_spec_that_comes_back_within_the_grace_is_as_it_was() -> None:
    spec = desired("w")
    resolution = resolved(reading(spec), before=[since(spec, 60)])
    assert resolution.desired[spec.name].missing_since is None
    assert note(resolution, "w") == ""


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (reading("other", deliberate=True), "deleted in 0123456789ab"),
        (reading("other", deleted=frozenset({"/w/w.yaml"})), "deleted by a commit"),
    ],
)
def test_a_committed_deletion_counts_at_once(given: Reading, reason: str) -> None:
    resolution = resolved(given, before=[desired("w"), desired("other")])
    assert gone(resolution) == ["w"]
    assert resolution.vanished[0].deliberate
    assert resolution.vanished[0].reason == reason


def test_a_file_that_a_commit_deleted_and_that_is_there_again_is_not_gone() -> None:
    edited = desired("other", file="/w/w.yaml")
    given = reading(edited, deleted=frozenset({"/w/w.yaml"}))
    resolution = resolved(given, before=[desired("w"), edited])
    assert gone(resolution) == []


def test_an_approved_disappearance_counts_at_once() -> None:
    assert gone(resolved(reading("other"), before=[desired("w")], approved=True)) == ["w"]


def test_a_renamed_spec_frees_its_old_name_at_once() -> None:
    new = desired(a_spec("New", renamed_from="w"))
    resolution = resolved(reading(new), before=[desired("w")])
    assert gone(resolution) == ["w"]
    assert resolution.vanished[0].reason == "renamed"


def test_a_name_that_only_moved_to_another_file_is_not_gone() -> None:
    resolution = resolved(reading(desired("w", file="/w/elsewhere.yaml")), before=[desired("w")])
    assert gone(resolution) == []
    assert resolution.desired[WatcherName("w")].origin.file == "/w/elsewhere.yaml"


# --- not knowing is not the same as gone -----------------------------------------------------------------------------


def test_a_source_that_is_not_read_keeps_all_it_gave_and_binds_nothing_new() -> None:
    theirs = desired("theirs", source=OTHER)
    resolution = resolved(reading("ours"), before=[theirs])
    assert sorted(in_force(resolution)) == ["ours", "theirs"]
    assert not resolution.desired[theirs.name].binds
    assert resolution.alarms == ()


def test_a_source_that_cannot_be_read_stops_nothing_and_raises_the_alarm() -> None:
    resolution = resolved(Reading(SOURCE, failed="no such directory"), before=[desired("a"), desired("b")])
    assert sorted(in_force(resolution)) == ["a", "b"]
    (alarm,) = resolution.alarms
    assert "no such directory" in alarm
    assert "2 watchers stay" in alarm


def test_a_source_that_is_being_written_is_no_alarm() -> None:
    resolution = resolved(Reading(SOURCE, failed="a git operation is under way", moving=True), before=[desired("a")])
    assert (sorted(in_force(resolution)), resolution.alarms) == (["a"], ())


def test_a_directory_that_never_gave_anything_and_cannot_be_read_is_an_error() -> None:
    resolution = resolved(Reading("directory:/nowhere", failed="No such file or directory"))
    (problem,) = resolution.problems
    assert (problem.code, problem.file, problem.severity) == ("source-unreadable", "/nowhere", "error")
    assert problem.remedy.startswith("name a directory that exists")
    (problem,) = resolved(Reading("git:hub:x.git#main:", failed="it does not answer")).problems
    assert problem.remedy.startswith("mend it in `sources` of the settings")


def test_an_emptied_directory_stops_nothing_and_raises_the_alarm() -> None:
    resolution = resolved(reading(), before=[since(desired("a"), 9999), since(desired("b"), 9999)])
    assert gone(resolution) == []
    assert sorted(in_force(resolution)) == ["a", "b"]
    assert "is it mounted?" in resolution.alarms[0]
    assert "--approve" in resolution.alarms[0]


def test_what_was_emptied_waits_for_a_yes_by_itself() -> None:
    kept, elsewhere = desired(a_spec("kept", prune="disabled")), desired("elsewhere", source=OTHER)
    resolution = resolved(reading(), reading("x", source=OTHER), before=[desired("a"), kept, elsewhere])
    assert sorted(in_force(resolution)) == ["a", "elsewhere", "kept", "x"]
    assert list(resolution.awaiting) == ["a"]
    approved = resolution.approved()
    assert (sorted(in_force(approved)), gone(approved)) == (["elsewhere", "kept", "x"], ["a"])
    assert approved.alarms == ()


def test_a_yes_to_what_was_emptied_is_none_to_what_cannot_be_read() -> None:
    lost = Reading(OTHER, failed="no such directory")
    resolution = resolved(reading(), lost, before=[desired("a"), desired("b", source=OTHER)]).approved()
    assert (sorted(in_force(resolution)), gone(resolution)) == (["b"], ["a"])
    assert "no such directory" in resolution.alarms[0]


@pytest.mark.parametrize("yes", ["approved", "commit", "commit of each file"])
def test_an_emptied_directory_is_believed_where_somebody_meant_it(yes: str) -> None:
    before = [desired("a"), desired("b")]
    files = frozenset({"/w/a.yaml", "/w/b.yaml"})
    given = {
        "approved": reading(),
        "commit": reading(deliberate=True),
        "commit of each file": reading(deleted=files),
    }[yes]
    resolution = resolved(given, before=before, approved=yes == "approved")
    assert (gone(resolution), resolution.alarms) == (["a", "b"], ())


def test_an_emptied_directory_that_is_only_partly_a_commit_raises_the_alarm() -> None:
    given = reading(deleted=frozenset({"/w/a.yaml"}))
    resolution = resolved(given, before=[desired("a"), desired("b")])
    assert gone(resolution) == ["a"]
    assert "1 watchers" in resolution.alarms[0]


def test_an_empty_directory_that_never_gave_anything_is_fine() -> None:
    resolution = resolved(reading())
    assert (resolution.alarms, resolution.problems, dict(resolution.desired)) == ((), (), {})


def test_prune_disabled_outlives_even_an_approved_deletion() -> None:
    spec = desired(a_spec("w", prune="disabled"))
    for given in (reading("x", deliberate=True), reading("x"), reading("x", deleted=frozenset({"/w/w.yaml"}))):
        resolution = resolved(given, before=[since(spec, 9999)], approved=True)
        assert gone(resolution) == []
        assert not resolution.desired[spec.name].binds


def test_words_in_a_message_do_not_disable_pruning() -> None:
    sly = desired(a_spec("w", description='"prune":"disabled"'))
    assert gone(resolved(reading("x"), before=[since(sly, 9999)])) == ["w"]
