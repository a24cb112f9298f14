"""Words added to shipped models: heard, forgotten, corrected, one after another, and the old ones stay."""

import numpy as np
import pytest
import soundfile

from kwsd import model as models
from kwsd.errors import ModelError, UsageError
from kwsd.learn import examples, last_layer
from kwsd.learn.lesson import Examples, Expectation
from kwsd.learn.student import Student
from kwsd.learn.trial import write_tried
from kwsd.learn.windows import stretched
from kwsd.spotter import Spotter
from tests.learn.conftest import CLIPS, RATE_HZ, takes_of

OLD = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


def written(path, content):
    write_tried(path, content)
    return models.load(path)


@pytest.fixture(scope="module", params=("default", "tiny-float32"))
def learned(request, tmp_path_factory):
    """A model with "zero", the model it was made from, and what was expected of it."""
    student = Student(request.param)
    path = tmp_path_factory.mktemp("learned") / "zero.tflite"
    found = student.learn("zero", takes_of("zero", 6), [], "zero", only_new=False)
    return written(path, found.content), student.model, found


def words(model, signal, **settings):
    spotter = Spotter(model, **settings)
    return [detection.label for detection in spotter.push(signal.astype(np.float32))]


def alone(take):
    draw = np.random.default_rng(9)
    return np.pad(take, 2 * RATE_HZ) + draw.normal(0, 1e-4, len(take) + 4 * RATE_HZ)


def test_the_word_is_heard_and_takes_were_expected_to_be(learned):
    model, _, found = learned
    heard = [words(model, alone(take)) for take in takes_of("zero", 4, seed=7)]
    assert heard.count(["zero"]) >= 3, heard
    assert found.expectation.heard(found.threshold) >= 5, found.expectation.takes
    assert model.recognize["thresholds"]["zero"] == found.threshold
    assert found.expectation.false_alarms_per_hour(found.threshold) <= 3
    assert found.expectation.false_alarms_per_hour(found.speech_threshold) <= 1


def test_old_words_are_heard_as_before(learned):
    model, old, _ = learned
    for word in OLD:
        for path in sorted((CLIPS / word).glob("*.flac")):
            rows = model.features(np.resize(soundfile.read(path, dtype="float32")[0], model.clip_samples))
            before, after = old.scores(rows), model.scores(rows)[:12]
            assert before.argmax() == after.argmax()
            np.testing.assert_allclose(after, before, atol=0.1)


def test_the_file_says_how_it_was_made(learned):
    model, old, found = learned
    training = model.metadata["training"]
    assert training["base"] == old.name
    assert training["learned"]["zero"]["takes"] == 6
    assert training["learned"]["zero"]["heard"] == found.expectation.heard(found.threshold)
    assert model.metadata["embedding"] == old.metadata["embedding"]
    assert list(model.labels) == [*old.labels, "zero"]


def test_the_same_takes_give_the_same_bytes():
    first, second = (Student("tiny").learn("zero", takes_of("zero", 3), [], "z", only_new=False) for _ in range(2))
    assert first.content == second.content


def test_two_words_one_after_another_and_one_forgotten(learned, tmp_path):
    model, _, _ = learned
    student = Student(str(model.path))
    assert student.own == ["zero"]
    both = written(tmp_path / "b.tflite", student.learn("happy", takes_of("happy", 6), [], "b", only_new=False).content)
    assert list(both.labels[-2:]) == ["zero", "happy"]
    assert words(both, alone(takes_of("happy", 1, seed=5)[0])) == ["happy"]
    assert words(both, alone(takes_of("zero", 1, seed=7)[0])) == ["zero"]
    without = written(tmp_path / "w.tflite", Student(str(both.path)).forget("zero", "w"))
    assert list(without.labels[-2:]) == ["go", "happy"]
    assert "zero" not in without.recognize["thresholds"]
    assert "zero" not in without.metadata["training"]["learned"]
    assert words(without, alone(takes_of("happy", 1, seed=5)[0])) == ["happy"]
    assert "zero" not in words(without, alone(takes_of("zero", 1, seed=7)[0]))
    again = Student(str(without.path)).forget("stop", "g")
    assert "stop" not in written(tmp_path / "g.tflite", again).labels


def test_a_word_learned_again_takes_the_place_of_the_first(learned, tmp_path):
    model, _, _ = learned
    found = Student(str(model.path)).learn("zero", takes_of("zero", 3, seed=3), [], "z", only_new=False)
    again = written(tmp_path / "z.tflite", found.content)
    assert list(again.labels) == list(model.labels)
    assert again.metadata["training"]["learned"]["zero"]["takes"] == 3


def test_a_word_that_the_model_came_with_is_forgotten_and_learned_anew(tmp_path):
    without = written(tmp_path / "w.tflite", Student("tiny").forget("stop", "w"))
    assert "stop" not in without.labels
    student = Student(str(without.path))
    assert student.own == []
    again = written(tmp_path / "s.tflite", student.learn("stop", takes_of("stop", 5), [], "s", only_new=False).content)
    assert Student(str(again.path)).own == ["stop"]
    assert words(again, alone(takes_of("stop", 1, seed=4)[0])) == ["stop"]


def test_two_models_cannot_learn_one_word():
    with pytest.raises(ModelError, match="a word is learned by one model, not by two"):
        Student("tiny+default")


def test_the_new_word_alone(tmp_path):
    found = Student("tiny").learn("zero", takes_of("zero", 6), [], "z", only_new=True)
    model = written(tmp_path / "z.tflite", found.content)
    assert list(model.labels) == ["_silence_", "_unknown_", "zero"]
    assert list(model.recognize["thresholds"]) == ["zero"]
    assert words(model, alone(takes_of("zero", 1, seed=7)[0])) == ["zero"]
    assert words(model, alone(takes_of("stop", 1)[0])) == []


def test_twenty_words(tmp_path, monkeypatch):
    """Each added to the model before; made up by playing real words backwards, faster or slower.

    What to expect of each is left out, for the test's sake.
    """
    monkeypatch.setattr("kwsd.learn.student.expect", lambda lesson, takes: Expectation(hours=1.0))
    path, model = tmp_path / "m.tflite", "tiny"
    sources = [(word, speed) for word in OLD for speed in (0.8, 1.25)]
    for number, (word, speed) in enumerate(sources):
        said = takes_of(word, 3, seed=number)
        made = [stretched(take[::-1], speed) for take in said]
        path.write_bytes(Student(model).learn(f"word {number}", made, [], "m", only_new=False).content)
        model = str(path)
    loaded = models.load(path)
    assert len(loaded.labels) == 32
    assert len(Student(model).own) == 20
    assert path.stat().st_size < 600_000
    rows = loaded.features(np.zeros(loaded.clip_samples, np.float32))
    assert loaded.scores(rows).argmax() == loaded.labels.index("_silence_")


def test_a_counter_example_fires_less(learned, tmp_path):
    """What fired is a take of the word itself; nothing else is harder to keep out."""
    model, _, _ = learned
    wrong = takes_of("zero", 1, seed=7)
    content, changed = Student(str(model.path)).correct(wrong, "z")
    before, after = changed["zero"]
    assert after < before / 2
    corrected = written(tmp_path / "z.tflite", content)
    again = Student(str(corrected.path)).correct(wrong, "z")[1]
    assert again == {} or again["zero"][0] == pytest.approx(after, abs=0.1)
    _, untouched = Student(str(model.path)).correct(takes_of("stop", 1), "z")
    assert untouched == {}


@pytest.mark.parametrize("word", ["stop", "_silence_", "", " a", "a,b", "a/b", "-a", "a\nb", "x" * 101])
def test_what_cannot_be_a_word_is_wrong_use(word):
    with pytest.raises(UsageError):
        Student("tiny").check_word(word)


def test_only_words_that_are_there_are_forgotten():
    with pytest.raises(UsageError, match="does not know 'lumos'"):
        Student("tiny").forget("lumos", "x")


def test_a_base_that_is_gone_or_another_version_is_refused(learned, tmp_path):
    model, _, _ = learned
    rewritten = model.path.read_bytes()
    memory = examples.Memory("/nowhere/base.tflite", "1" * 64, {})
    entries = {examples.ENTRY: examples.pack(memory)}
    rows = list(range(len(model.labels)))
    path = tmp_path / "m.tflite"
    path.write_bytes(last_layer.replace(rewritten, model.metadata["embedding"], rows, entries, 0.0))
    with pytest.raises(ModelError, match=r"was made from /nowhere/base\.tflite") as refusal:
        Student(str(path))
    assert len(refusal.value.lines) == 1


@pytest.mark.parametrize("damaged", [b"", b"PK\3\4", b"no archive at all", b"\0" * 400])
def test_a_damaged_memory_is_refused(learned, tmp_path, damaged):
    model, _, _ = learned
    path = tmp_path / "m.tflite"
    rows = list(range(len(model.labels)))
    content = last_layer.replace(
        model.path.read_bytes(), model.metadata["embedding"], rows, {examples.ENTRY: damaged}, 0.0
    )
    path.write_bytes(content)
    with pytest.raises(ModelError, match="remembers of its own words is damaged") as refusal:
        Student(str(path))
    assert len(refusal.value.lines) == 1


def test_examples_are_remembered_to_a_255th():
    draw = np.random.default_rng(1)
    words = {"a": Examples(draw.uniform(0, 3, (20, 8)), draw.uniform(0, 3, (5, 8)))}
    kept = examples.unpack(examples.pack(examples.Memory("b", "s", words)), 8, "m")
    assert (kept.base, kept.base_sha256, list(kept.words)) == ("b", "s", ["a"])
    np.testing.assert_allclose(kept.words["a"].word, words["a"].word, atol=3 / 255)
    np.testing.assert_allclose(kept.words["a"].others, words["a"].others, atol=3 / 255)


def test_a_model_that_does_not_run_leaves_what_was_there(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"what was there")
    with pytest.raises(ModelError):
        write_tried(path, b"not a model")
    assert path.read_bytes() == b"what was there"
    assert [found.name for found in tmp_path.iterdir()] == ["m.tflite"]
